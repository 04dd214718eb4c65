"""Which gestures fire which rule, and how often."""

from __future__ import annotations

import pytest
from rule_scenario import SLOW, Play, rule

from agent.core.rules import ANY, Rule
from agent.core.thresholds import Thresholds
from agent.core.types import Hand


def test_a_rule_fires_when_its_gesture_starts_and_not_again_while_it_is_held() -> None:
    assert Play(rule("a", "stop")).show("SSSSSSSSSSSSSSSSSSSS") == [(0.3, "a")]


def test_another_gesture_fires_nothing() -> None:
    assert Play(rule("a", "stop")).show("FFFFFFFF") == []


def test_any_gesture_and_one_of_several() -> None:
    assert Play(rule("a", ANY)).show("FFFF.....TTTT") == [(0.3, "a"), (1.2, "a")]
    assert Play(rule("a", "fist", "ok")).show("FFFF.....TTTT.....OOOO") == [(0.3, "a"), (2.1, "a")]


def test_the_first_match_wins() -> None:
    play = Play(rule("one", "stop"), rule("two", "stop"), rule("three", "fist"))
    assert play.show("SSSS") == [(0.3, "one")]
    assert play.reasons() == {"one": "fired", "two": "first_match", "three": "gesture"}


def test_continue_fires_in_addition_and_blocks_nobody() -> None:
    play = Play(
        rule("first", "stop", continue_matching=True),
        rule("a", "stop"),
        rule("b", "stop"),
        rule("last", "stop", continue_matching=True),
    )
    assert [name for _, name in play.show("SSSS")] == ["first", "a", "last"]


@pytest.mark.parametrize(("hand", "fires"), [("right", True), ("left", False), (None, True)])
def test_a_hand(hand: Hand | None, fires: bool) -> None:
    assert bool(Play(rule("a", "stop", hand=hand)).show("SSSS")) == fires


def test_a_camera_and_a_person() -> None:
    play = Play(rule("door", "stop", camera="door"), rule("me", "stop", person=2))
    assert play.show("SSSS.....", camera="front") == []
    assert play.show("SSSS.....", camera="door") == [(1.2, "door")]
    assert play.show("SSSS.....", person=2) == [(2.1, "me")]


def test_a_hold_of_its_own_is_counted_by_thresholds_of_its_own() -> None:
    play = Play(rule("long", "stop", thresholds=SLOW), rule("short", "stop"))
    assert play.show("SSSSSSSSSS") == [(0.3, "short"), (0.6, "long")]


def test_rules_by_different_thresholds_that_start_at_one_moment_still_compete() -> None:
    patient = Thresholds(release_s=2.0)
    assert Play(rule("a", "stop", thresholds=patient), rule("b", "stop")).show("SSSS") == [(0.3, "a")]


def test_a_match_in_the_cooldown_is_swallowed_and_not_passed_on() -> None:
    play = Play(rule("a", "stop", cooldown_s=2.0), rule("b", "stop"))
    assert play.show("SSSS......" * 4) == [(0.3, "a"), (2.3, "a")]
    assert [(v.rule, v.reason) for v in play.why[2:4]] == [("a", "cooldown"), ("b", "first_match")]


def test_a_cooldown_per_person_counts_for_each_by_itself() -> None:
    def fired(rule_: Rule) -> int:
        play = Play(rule_)
        return len(
            play.show("SSSS.....", person=0) + play.show("SSSS.....", person=1) + play.show("SSSS", person=0)
        )

    assert fired(rule("a", "stop", cooldown_s=9.0)) == 1
    assert fired(rule("a", "stop", cooldown_s=9.0, per_person=True)) == 2


def test_repeat_fires_again_while_held_and_stops_with_the_gesture() -> None:
    assert Play(rule("a", "two", repeat_s=0.3)).show("22222222222.......") == [
        (0.3, "a"),
        (0.6, "a"),
        (0.9, "a"),
    ]


def test_repeat_pauses_while_the_hand_is_not_seen() -> None:
    assert [at for at, _ in Play(rule("a", "two", repeat_s=0.1)).show("22222...222")] == [
        0.3,
        0.4,
        0.8,
        0.9,
        1.0,
    ]


def test_a_repeat_keeps_its_pace_when_frames_do_not_fit_it() -> None:
    fired = [at for at, _ in Play(rule("a", "two", repeat_s=0.25)).show("2" * 24)]
    assert fired == [0.3, 0.6, 0.8, 1.1, 1.3, 1.6, 1.8, 2.1, 2.3]
