"""How the loop fares, told once a minute, and at once where something is wrong."""

from __future__ import annotations

from support.frames import black_frame

from agent.core.types import Detections
from agent.loop.loop_health import EVERY_S, REFUSED_CHARS, LoopHealth


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def told(clock: Clock) -> LoopHealth:
    """Health that was told a moment ago."""
    health = LoopHealth(clock)
    assert health.due()
    return health


def test_it_is_reported_at_once_and_then_once_a_minute():
    clock = Clock()
    health = told(clock)
    assert not health.due()
    clock.now += EVERY_S - 0.1
    assert not health.due()
    clock.now += 0.1
    assert health.due()


def test_a_server_that_is_lost_is_news_once_and_told_at_once():
    health = told(Clock())
    assert health.recognition("no answer from the server")
    assert not health.recognition("no answer from the server")
    assert health.due()
    assert health.report(0)["recognition"] == {"state": "away", "reason": "no answer from the server"}


def test_a_server_that_is_back_is_news_too():
    health = told(Clock())
    health.recognition("no answer from the server")
    assert health.recognition(None)
    assert health.report(0)["recognition"] == {"state": "online", "reason": None}


def test_refused_rules_are_reported_at_once_cut_to_what_a_message_can_hold():
    health = told(Clock())
    health.rules_judged("x" * (REFUSED_CHARS + 1))
    assert health.due()
    assert health.report(3)["rules"] == {"count": 3, "refused": "x" * REFUSED_CHARS}


def test_latency_counts_from_the_frame_until_its_events_are_out():
    clock = Clock()
    health = told(clock)
    health.note_detections(Detections(black_frame("front", clock.now - 0.05), 1, stage_ms={"palm": 12.0}))
    report = health.report(0)
    assert report["latency"]["p50"] == 50.0
    assert report["stages"]["palm"]["p50"] == 12.0
