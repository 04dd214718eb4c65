"""What a person without a screen is told."""

from __future__ import annotations

from agent.core.feedback import Feedback, FeedbackTracker
from agent.core.gesture_pipeline import PipelineResult
from agent.core.rules import RuleVerdict
from agent.core.rules.verdict import Reason
from agent.core.types import Action, GestureStarted

EVENT = GestureStarted(1.0, "front", 0, "right", "stop", 0.9, 0.3)
ACTION = Action("publish", "lamp", 1.0, 5.0, "home/lamp", "ON")


def told(*steps: tuple[float, PipelineResult, bool]) -> list[tuple[str, str]]:
    tracker = FeedbackTracker()
    return [
        (one.kind, one.rule)
        for at, result, armed in steps
        for one in tracker.update("front", at, result, armed=armed)
    ]


def refused(reason: Reason) -> PipelineResult:
    return PipelineResult((EVENT,), verdicts=(RuleVerdict("lamp", EVENT, reason),))


NOTHING, FIRED = PipelineResult(), PipelineResult((EVENT,), (ACTION,))


def test_waking_is_reported_once():
    assert told((0, NOTHING, False), (1, NOTHING, True), (2, NOTHING, True)) == [("awake", "")]


def test_waking_again_is_published_again():
    assert told((0, NOTHING, True), (1, NOTHING, False), (2, NOTHING, True)) == [("awake", "")] * 2


def test_a_rule_that_fires_is_reported_and_one_that_repeats_not_at_every_frame():
    assert told((0, FIRED, False), (0.1, FIRED, False), (0.2, FIRED, False)) == [("fired", "lamp")]
    assert told((0, FIRED, False), (1.5, FIRED, False)) == [("fired", "lamp")] * 2


def test_a_gesture_that_a_condition_refused_is_reported_with_the_rule():
    [one] = FeedbackTracker().update("front", 0, refused("cooldown"), armed=False)
    assert one == Feedback("refused", "front", "lamp", "stop")


def test_what_is_shown_while_rules_sleep_or_for_no_rule_is_met_with_silence():
    assert told((0, refused("armed"), False), (1, refused("gesture"), False)) == []


def test_where_another_rule_fired_nothing_was_refused():
    result = PipelineResult((EVENT,), (ACTION,), verdicts=(RuleVerdict("bell", EVENT, "zone"),))
    assert told((0, result, False)) == [("fired", "lamp")]
