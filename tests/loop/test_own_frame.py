"""What was recognised belongs to the frame that it was recognised in, however late it comes."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from agent.config.settings import IdleSettings
from agent.core.gesture_pipeline import GesturePipeline, PipelineResult
from agent.core.rules import RuleContext
from agent.core.types import LABELS, Detections, Frame
from agent.loop.loop import Loop
from agent.loop.observers import Observers
from agent.recording import NullSink


class OneFrameLate:
    """Eyes that tell of each frame in the next turn, as a GPU that works one frame ahead does."""

    def __init__(self) -> None:
        self._before: Sequence[Frame] = ()

    def recognize(self, frames: Sequence[Frame]) -> list[Detections]:
        done, self._before = self._before, list(frames)
        return [Detections(f, 0) for f in done]

    def forget(self, camera: str) -> None:
        """Nothing is remembered but the frames."""


class NoContext:
    def rule_context(self) -> RuleContext:
        return RuleContext()


class Watcher:
    """Remembers each frame with what was told of it."""

    def __init__(self) -> None:
        self.told: list[Detections] = []

    def on_detections(self, detections: Detections) -> None:
        self.told.append(detections)

    def on_result(self, camera: str, at: float, result: PipelineResult) -> None:
        """Another test's subject."""


class NoFrames:
    def take(self, timeout_s: float) -> list[Frame]:  # noqa: ARG002 (as the mailbox)
        return []


class Camera:
    def enable(self, on: bool) -> None:
        """It has no device."""

    def rest_until(self, at: float) -> None:
        """It has nothing to decode."""


def test_frames_of_two_cameras_that_come_in_turn_are_reported_with_their_own_results() -> None:
    watcher = Watcher()
    loop = Loop(
        frames=NoFrames(),
        recognizer=OneFrameLate(),
        pipeline=GesturePipeline(LABELS),
        sink=NullSink(),
        idle=IdleSettings(),
        max_age_s=5.0,
        context=NoContext(),
        clock=time.monotonic,
        observers=Observers(recognition=(watcher,)),
    )
    loop.watch({"hall": Camera(), "door": Camera()}, enabled=True)
    image = np.zeros((48, 64, 3), np.uint8)
    frames = [Frame(camera, n, n / 10, image) for n in range(4) for camera in ("hall", "door")]
    for frame in frames:  # never both at once
        loop.step([frame])
    assert [detections.frame for detections in watcher.told] == frames[:-1]
