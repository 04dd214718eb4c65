"""Idle test: starts are counted by the settings in force and by stricter ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from agent.core.idle_test import IdleTest, alternatives
from agent.core.thresholds import Thresholds
from agent.core.trace import TraceHeader, TraceRecord
from agent.core.types import LABELS, HandObservation, HandPosture, Place

GESTURES = [label for label in LABELS if label != "random"]
NOW = Thresholds(confidence=0.7)
HEADER = TraceHeader(100.0, LABELS, 0.0, NOW, started="2026-11-24T20:00:00.000Z")
FPS = 10


def frames(
    gesture: str, score: float, facing: float, *, from_s: float, for_s: float, camera: str = "sofa"
) -> Iterator[TraceRecord]:
    """A hand that shows one shape, then no hand for a second."""
    for number in range(round((for_s + 1.0) * FPS)):
        at = HEADER.at + from_s + number / FPS
        scores = np.zeros(len(LABELS), np.float32)
        scores[LABELS.index(gesture)] = score
        posture = HandPosture(raised=1.2, lean=5.0, facing=facing, forearm=10.0, upright=2.0)
        seen = HandObservation(at, camera, 0, "right", scores, Place(0.5, 0.4, 0.2), 1, posture)
        if number >= for_s * FPS:
            seen = replace(seen, scores=None, place=None)
        yield TraceRecord("frame", at, camera, (seen,))


def counted(*records: Iterator[TraceRecord]) -> IdleTest:
    test = IdleTest(HEADER, NOW, alternatives(NOW, GESTURES))
    for some in records:
        for record in some:
            test.feed(record)
    return test


def left(test: IdleTest, setting: str, value: float) -> int:
    return next(n for other, n in test.count.left.items() if (other.setting, other.value) == (setting, value))


def test_a_start_that_one_stricter_setting_prevents_is_counted_for_the_others() -> None:
    test = counted(
        frames("fist", 0.75, 10.0, from_s=0, for_s=2),  # not sure
        frames("stop", 0.98, 30.0, from_s=5, for_s=2),  # half turned away
    )
    assert [(s.gesture, s.camera) for s in test.count.starts] == [("fist", "sofa"), ("stop", "sofa")]
    assert left(test, "facing", 25.0) == 1
    assert left(test, "confidence_of.fist", 0.9) == 1
    assert left(test, "confidence_of.stop", 0.9) == 2
    assert left(test, "raised", 0.8) == 2


def test_every_start_has_the_time_of_day_and_its_posture() -> None:
    [start] = counted(frames("ok", 0.95, 12.0, from_s=60, for_s=1)).count.starts
    assert start.wall_s is not None
    assert start.wall_s - start.at_s == pytest.approx(1795550400.0 + (0 if start.at_s > 60 else 1))
    assert start.observation.posture.facing == 12.0


def test_a_later_trace_has_a_clock_of_its_own() -> None:
    test = counted(frames("ok", 0.95, 12.0, from_s=0, for_s=1))
    test.begin(replace(HEADER, at=500.0, started="2026-11-25T07:00:00.000Z"))
    for record in frames("ok", 0.95, 12.0, from_s=401, for_s=1):
        test.feed(record)
    first, second = test.count.starts
    assert second.at_s == pytest.approx(first.at_s + 1.0)
    assert second.wall_s is not None
    assert first.wall_s is not None
    assert second.wall_s - first.wall_s == pytest.approx(11 * 3600 + 1.0)


def test_time_without_frames_is_not_watched() -> None:
    test = counted(
        frames("random", 0.9, 0.0, from_s=0, for_s=2), frames("random", 0.9, 0.0, from_s=3600, for_s=2)
    )
    assert test.count.watched_s == pytest.approx(2 * 2.9)
    assert test.count.an_hour == 0


def test_two_cameras_are_two_rooms() -> None:
    one = frames("fist", 0.95, 0.0, from_s=0, for_s=2)
    other = frames("fist", 0.95, 0.0, from_s=0, for_s=2, camera="desk")
    test = counted(record for pair in zip(one, other, strict=True) for record in pair)
    assert test.count.watched_s == pytest.approx(2 * 2.9)
    assert sorted(s.camera for s in test.count.starts) == ["desk", "sofa"]


def test_a_closed_camera_ends_what_was_on() -> None:
    stop = TraceRecord("stop", HEADER.at + 1.0, "sofa")
    shown = list(frames("fist", 0.95, 0.0, from_s=0, for_s=5))
    test = counted(iter([*shown[:10], stop, *shown[30:]]))
    assert len(test.count.starts) == 2


def test_what_is_as_strict_already_is_not_tried() -> None:
    now = replace(NOW, facing=20.0, hold_s=1.0, confidence=0.97)
    tried = {other.setting for other in alternatives(now, GESTURES)}
    assert not {"facing", "hold", *(f"confidence_of.{gesture}" for gesture in GESTURES)} & tried
    assert {"raised", "still", "upright"} <= tried
