"""A slow machine sees less, but what it did not look at is not held against a gesture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from agent.config.settings import IdleSettings, Settings
from agent.core.rules import RuleContext, RuleSet
from agent.core.trace import TraceRecord
from agent.core.types import (
    LABELS,
    Box,
    Detections,
    Frame,
    GestureEnded,
    GestureEvent,
    GestureHeld,
    GestureStarted,
    HandDetection,
)
from agent.loop.loop import NOBODY, SILENCE_S, TICK_S, Loop
from agent.loop.observers import Observers
from agent.pipeline import build_pipeline
from agent.recording import NullSink

IMAGE = np.zeros((48, 64, 3), np.uint8)
FIST = np.array([label == "fist" for label in LABELS], np.float32)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class SlowFist:
    """Sees a fist in every frame and takes `took_s` for it."""

    def __init__(self, clock: Clock, took_s: float) -> None:
        self.clock, self.took_s = clock, took_s

    def recognize(self, frames: Sequence[Frame]) -> list[Detections]:
        self.clock.now += self.took_s
        hand = HandDetection(0, "right", Box(32, 24, 12), FIST)
        return [Detections(frame, 1, (hand,)) for frame in frames]

    def forget(self, camera: str) -> None:
        pass


class Heard(NullSink):
    def __init__(self) -> None:
        self.events: list[GestureEvent] = []

    def event(self, event: GestureEvent, *, max_age_s: float, zone: str | None) -> None:
        del max_age_s, zone
        if not isinstance(event, GestureHeld):
            self.events.append(event)


class NoContext:
    def rule_context(self) -> RuleContext:
        return RuleContext()


class NoFrames:
    def take(self, timeout_s: float) -> list[Frame]:
        del timeout_s
        return []


def made(
    took_s: float, observers: Observers = NOBODY, recognizer: type[SlowFist] = SlowFist
) -> tuple[Loop, Heard, Clock]:
    clock, sink = Clock(), Heard()
    loop = Loop(
        frames=NoFrames(),
        recognizer=recognizer(clock, took_s),
        pipeline=build_pipeline(Settings(), LABELS, RuleSet()),
        sink=sink,
        idle=IdleSettings(),
        max_age_s=5.0,
        context=NoContext(),
        clock=clock,
        observers=observers,
    )
    return loop, sink, clock


@pytest.mark.parametrize("took_s", [0.05, SILENCE_S + 0.05, 0.9])
def test_a_gesture_that_is_held_does_not_end_because_recognition_is_slow(took_s: float):
    loop, sink, clock = made(took_s)
    for seq in range(12):
        loop.step([Frame("front", seq, clock.now, IMAGE)])  # the newest frame is always fresh
    assert [type(event) for event in sink.events] == [GestureStarted]


def test_a_gesture_ends_when_its_camera_falls_silent():
    loop, sink, clock = made(0.05)
    for seq in range(12):
        loop.step([Frame("front", seq, clock.now, IMAGE)])
    silent_since = clock.now
    while clock.now < silent_since + 2 * SILENCE_S:
        clock.now += TICK_S
        loop.step([])
    assert [type(event) for event in sink.events] == [GestureStarted, GestureEnded]


class Recorder:
    def __init__(self) -> None:
        self.kinds: list[str] = []

    def record(self, record: TraceRecord) -> None:
        self.kinds.append(record.kind)


def test_a_silence_in_which_nothing_is_left_to_end_is_recorded_once():
    recorder = Recorder()
    loop, sink, clock = made(0.05, Observers(recorders=(recorder,)))
    for seq in range(12):
        loop.step([Frame("front", seq, clock.now, IMAGE)])
    for _ in range(100):
        clock.now += TICK_S
        loop.step([])
    assert len(sink.events) == 2
    ended = recorder.kinds.count("silence")
    assert 1 < ended < 50  # until the hand is forgotten
    loop.step([Frame("front", 12, clock.now, IMAGE)])
    clock.now += 2 * SILENCE_S
    loop.step([])
    assert recorder.kinds[-2:] == ["frame", "silence"]


class SeesNobody(SlowFist):
    def recognize(self, frames: Sequence[Frame]) -> list[Detections]:
        return [Detections(frame, 0, ()) for frame in frames]


class Camera:
    until = -1.0

    def enable(self, on: bool) -> None:
        """It has no device."""

    def rest_until(self, at: float) -> None:
        self.until = at


def test_a_camera_whose_room_is_empty_is_told_until_when_it_may_rest():
    loop, _, clock = made(0.0, recognizer=SeesNobody)
    camera = Camera()
    loop.watch({"front": camera}, enabled=True)
    loop.step([Frame("front", 0, clock.now, IMAGE)])
    assert camera.until < 0
    late = clock.now + IdleSettings().after + 1
    loop.step([Frame("front", 1, late, IMAGE)])
    assert camera.until == late + 1 / IdleSettings().fps
