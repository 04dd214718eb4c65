"""Benchmark of the intent checks for one hand: posture, motion and decision.

    python bench/intent.py

Processor time of one thread, so that other programs count for less; no network and no picture is needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from agent.core.intent import HandHistories, intent_of, speed_obstacle
from agent.core.posture import posture_of
from agent.core.thresholds import Thresholds
from agent.core.types import LABELS, Box, HandObservation, Place, Pose

RUNS = 5000
JOINTS = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye",
    "right_eye_outer", "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_pinky",
    "right_pinky", "left_index", "right_index", "left_thumb", "right_thumb", "left_hip", "right_hip",
)  # fmt: skip


def cost_ms(work: Callable[[int], object]) -> float:
    """Return the best of five rounds, in milliseconds per call."""
    rounds = []
    for _ in range(5):
        start = time.process_time()
        for run in range(RUNS):
            work(run)
        rounds.append(time.process_time() - start)
    return min(rounds) / RUNS * 1000


def main() -> None:
    """Run the benchmark."""
    rng = np.random.default_rng(0)
    points = np.hstack([rng.uniform(50, 400, (len(JOINTS), 2)), np.ones((len(JOINTS), 1))])
    pose, hand = Pose(points.astype(np.float32), JOINTS, 1.0), Box(200, 150, 60)
    landmarks = rng.uniform(170, 230, (21, 2)).astype(np.float32)
    others = [landmarks + 150]
    posture = posture_of(pose, hand, landmarks, others, (640, 480))
    scores = np.full(len(LABELS), 0.1, np.float32)
    scores[1] = 0.9
    observation = HandObservation(0.0, "bench", 0, "right", scores, Place(0.3, 0.3, 0.12), 1, posture)
    histories, limits = HandHistories(LABELS), Thresholds()

    def judge(run: int) -> None:
        seen = histories.feed(replace(observation, at=run * 0.1))
        intent_of(seen, "fist", limits)
        speed_obstacle(seen, limits)

    held = cost_ms(lambda _run: posture_of(pose, hand, landmarks, others, (640, 480)))
    print(f"how a hand is held: {held:.3f} ms; how it moves and whether it is meant: {cost_ms(judge):.3f} ms")


if __name__ == "__main__":
    main()
