"""Which hand of a photograph decides, and what `gesture-agent evaluate` says of pictures that are known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.core.types import Box, HandDetection, Image
from agent.evaluation.judge import best_hand, judge
from agent.evaluation.photographs import Photograph

LABELS = ("ok", "two", "random")
CLIP = Path(__file__).parents[1] / "data" / "demo.mp4"
HALFWAY = 0.5  # of the time in which a gesture is made


def hand(*scores: float) -> HandDetection:
    return HandDetection(0, "right", Box(60.0, 60.0, 40.0), np.array(scores, np.float32))


class Sees:
    """A perception that has two answers for every picture."""

    labels = LABELS

    def __init__(self, still: list[HandDetection], boxed: list[HandDetection]) -> None:
        self.still, self.boxed = still, boxed
        self.asked: list[object] = []

    def recognize_still(self, image: Image) -> list[HandDetection]:
        self.asked.append(image.shape)
        return self.still

    def hands_in(self, image: Image, box: object) -> list[HandDetection]:
        self.asked.append((image.shape, box))
        return self.boxed


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((20, 20, 3), np.uint8))
    return path


def test_a_gesture_decides_before_a_surer_idle_hand():
    best = best_hand([hand(0.05, 0.0, 0.95), hand(0.3, 0.6, 0.1), hand(0.5, 0.4, 0.1)], LABELS)
    assert best is not None
    assert best[1] == "two"


def test_of_idle_hands_the_surest_decides():
    best = best_hand([hand(0.3, 0.1, 0.6), hand(0.1, 0.1, 0.8)], LABELS)
    assert best is not None
    assert best[0].scores[2] == pytest.approx(0.8)


def test_no_hand_is_no_gesture(picture: Path):
    verdict = judge(Photograph(picture, "random", None, ""), Sees([], []), "pipeline")
    assert (verdict.predicted, verdict.probability, verdict.box, verdict.right) == ("random", 0.0, None, True)


def test_crop_asks_for_the_given_box_and_pipeline_searches(picture: Path):
    recognizer = Sees(still=[hand(0.9, 0.1, 0.0)], boxed=[hand(0.1, 0.9, 0.0)])
    photograph = Photograph(picture, "two", (1, 2, 3, 4), "")
    assert judge(photograph, recognizer, "pipeline").predicted == "ok"
    assert judge(photograph, recognizer, "crop").predicted == "two"
    assert recognizer.asked == [(20, 20, 3), ((20, 20, 3), (1, 2, 3, 4))]


def test_a_file_that_is_no_picture_is_not_judged(tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    assert not judge(Photograph(tmp_path / "a.jpg", "ok", None, ""), Sees([], []), "crop").readable


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """One picture of each gesture of the demo clip, one of nobody's gesture, and their list."""
    facts = json.loads(CLIP.with_suffix(".json").read_text(encoding="utf-8"))
    moments = [
        (g["gesture"], g["from_s"] + HALFWAY * (g["to_s"] - g["from_s"]), "clip") for g in facts["gestures"]
    ]
    rows = ["path,label,source"]
    film = cv2.VideoCapture(str(CLIP))
    for label, at, source in [*moments, ("random", 0.3, "rest")]:
        film.set(cv2.CAP_PROP_POS_FRAMES, round(at * facts["fps"]))
        cv2.imwrite(str(tmp_path / f"{label}.png"), film.read()[1])
        rows.append(f"{label}.png,{label},{source}")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    rows.append("broken.png,ok,clip")
    path = tmp_path / "list.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def test_the_command_knows_the_gestures_of_the_demo_clip(frames: Path, cache_dir: Path, tmp_path: Path):
    command = [
        sys.executable,
        "-m",
        "agent",
        "evaluate",
        "--manifest",
        str(frames),
        "--root",
        str(frames.parent),
    ]
    environ = {
        **{k: v for k, v in os.environ.items() if not k.startswith("GESTURE_AGENT")},
        "GESTURE_AGENT__AGENT__CACHE_DIR": str(cache_dir),
        "GESTURE_AGENT__DEBOUNCE__CONFIDENCE": "0.6",
        "GESTURE_AGENT__DEBOUNCE__KEEP_CONFIDENCE": "0.4",
    }
    done = subprocess.run(
        [*command, "--json", "--report", str(tmp_path / "report")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environ,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["model"], facts["stage"]) == ("gesturenet-ensemble", "pipeline")
    assert (facts["images"], facts["macro_f1"], facts["sources"]["clip"]["found"]) == (6, 1.0, 5)
    assert facts["unreadable"] == [str(frames.parent / "broken.png")]
    assert facts["sources"]["rest"]["confusion"]["random"]["random"] == 1
    assert facts["calibration"]["confidence"]["stop"] == 0.6
    assert (facts["calibration"]["passed"], facts["calibration"]["mistaken"]) == (1.0, 0.0)
    assert "macro-F1 <b>1.000</b>" in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
