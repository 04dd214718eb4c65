"""One turn of the loop ends, whatever comes in meanwhile, and says who is in view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agent.config.settings import IdleSettings, Settings
from agent.core.rules import RuleContext, RuleSet
from agent.core.types import LABELS, CameraState, Detections, Frame
from agent.loop.loop import Loop
from agent.pipeline import build_pipeline
from agent.recording import NullSink


class Eyes:
    """See as many people as they are told."""

    people = 0

    def recognize(self, frames: Sequence[Frame]) -> list[Detections]:
        return [Detections(frame, self.people) for frame in frames]

    def forget(self, camera: str) -> None:
        pass


class NoContext:
    def rule_context(self) -> RuleContext:
        return RuleContext()


class NoFrames:
    def take(self, timeout_s: float) -> list[Frame]:
        del timeout_s
        return []


class Out(NullSink):
    """Hears of cameras and of who is in view; a camera changes again as soon as it is told of."""

    loop: Loop

    def __init__(self) -> None:
        self.cameras: list[str] = []
        self.occupied_: list[bool | None] = []

    def camera_state(self, camera: str, value: Any, reason: str | None = None) -> None:
        self.cameras.append(value)
        if len(self.cameras) < 1000:
            self.loop.camera_changed(CameraState(camera, "online", reason or ""))

    def occupied(self, camera: str, occupied: bool | None) -> None:
        del camera
        self.occupied_.append(occupied)


def made() -> tuple[Loop, Out, Eyes]:
    sink, recognizer = Out(), Eyes()
    loop = Loop(
        frames=NoFrames(),
        recognizer=recognizer,
        pipeline=build_pipeline(Settings(), LABELS, RuleSet()),
        sink=sink,
        idle=IdleSettings(),
        max_age_s=5.0,
        context=NoContext(),
        clock=lambda: 0.0,
    )
    sink.loop = loop
    return loop, sink, recognizer


def test_a_camera_that_changes_all_the_time_is_heard_once_a_turn():
    loop, sink, _ = made()
    loop.camera_changed(CameraState("front", "online"))
    for turn in range(1, 4):
        loop.step([])
        assert len(sink.cameras) == turn


def test_a_person_in_view_is_reported_and_nobody_knows_when_the_camera_is_gone():
    loop, sink, recognizer = made()
    image = np.zeros((48, 64, 3), np.uint8)
    recognizer.people = 1
    for n in range(20):
        loop.step([Frame("front", n, n / 10, image)])
    assert sink.occupied_ == [True]
    recognizer.people = 0
    for n in range(20, 150):
        loop.step([Frame("front", n, n / 10, image)])
    assert sink.occupied_ == [True, False]
    loop.camera_changed(CameraState("front", "offline", "unplugged"))
    loop.step([])
    assert sink.occupied_ == [True, False, None]
