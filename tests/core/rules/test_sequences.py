"""One gesture after the other, and both hands at once."""

from __future__ import annotations

import pytest
from rule_scenario import Play, rule, sequence
from timelines import observations

from agent.core.rules import RuleContext


def test_a_sequence_fires_at_its_last_step() -> None:
    assert Play(sequence("fist", "stop")).show("FFFF....SSSS") == [(1.1, "seq")]
    assert Play(sequence("fist", "stop")).show("FFFFSSSS") == [(0.7, "seq")], "a direct change is fine"


@pytest.mark.parametrize(
    "timeline", ["SSSS....FFFF", "FFFF", "SSSS", "FFFF....OOOO....SSSS", "FFFF" + "." * 20 + "SSSS"]
)
def test_other_orders_other_gestures_between_and_slowness_are_no_sequence(timeline: str) -> None:
    play = Play(sequence("fist", "stop"))
    assert play.show(timeline) == []
    assert {verdict.reason for verdict in play.why} <= {"sequence", "gesture"}


def test_a_sequence_with_the_same_gesture_twice() -> None:
    assert Play(sequence("stop", "stop")).show("SSSS......" * 4) == [(1.3, "seq"), (3.3, "seq")]


def test_a_sequence_that_began_wrong_counts_from_its_right_beginning() -> None:
    play = Play(sequence("fist", "fist", "stop", within_s=5))
    assert play.show("FFFF......FFFF......FFFF......SSSS") == [(3.3, "seq")]


def test_a_sequence_belongs_to_one_person_and_may_change_hands() -> None:
    play = Play(sequence("fist", "stop"))
    play.show("FFFF....", person=0)
    assert play.show("SSSS....", person=1) == []
    play = Play(sequence("fist", "stop"))
    assert play.show("FFFF....", "........SSSS") == [(1.1, "seq")]
    play = Play(sequence("fist", "stop", hand="right"))
    assert play.show("FFFF....", "........SSSS") == []


def test_both_hands_of_one_person() -> None:
    both = rule("both", "thumbs_up", trigger="both")
    assert Play(both).show("TTTTTTTT", "..TTTTTT") == [(0.5, "both")]
    assert Play(both).show("TTTTTTTT", "..SSSSSS") == []
    assert Play(both).show("TTTTTTTT") == []
    assert Play(both).show("TTTT........", "........TTTT") == [], "one after the other is not both"


def test_both_hands_of_two_people_are_not_both() -> None:
    play = Play(rule("both", "thumbs_up", trigger="both"))
    steps = zip(
        observations("TTTTTT", "left", person=1), observations("TTTTTT", "right", person=0), strict=True
    )
    for pair in steps:
        assert play.pipeline.process_observations(pair, RuleContext(), play.why).actions == ()
    assert (play.why[-1].reason, play.why[-1].seen) == ("both", "left hand: nothing")
