"""Rules that are deaf until the wake gesture."""

from __future__ import annotations

from rule_scenario import NORMAL, WAKE, Play, rule

from agent.core.rules import WakeGesture
from agent.core.thresholds import Thresholds


def test_an_armed_rule_is_deaf_until_the_wake_gesture() -> None:
    play = Play(rule("lamp", "thumbs_up", armed=True), rule("bare", "fist"), wake=WAKE)
    assert play.show("TTTT.....") == []
    assert play.reasons()["lamp"] == "armed"
    assert play.show("FFFF.....") == [(1.2, "bare")]
    assert play.show("SSSSSSSSS.....TTTT.....") == [(3.5, "lamp")]


def test_the_wake_window_ends_and_each_armed_firing_renews_it() -> None:
    play = Play(rule("lamp", "thumbs_up", armed=True), wake=WAKE)
    play.show("SSSSSSSSS")
    assert play.pipeline.armed("front", 0.9) is not None
    assert play.pipeline.armed("front", 2.9) is None
    assert play.pipeline.armed("door", 0.9) is None
    fired = play.show("." * 10 + "TTTT" + "." * 12 + "TTTT" + "." * 30 + "TTTT")
    assert fired == [(2.2, "lamp"), (3.8, "lamp")]
    assert (play.why[-1].reason, play.why[-1].seen) == ("armed", "it ran out 1.4 s ago")


def test_without_a_wake_gesture_everything_is_armed() -> None:
    assert Play(rule("lamp", "thumbs_up", armed=True)).show("TTTT") == [(0.3, "lamp")]


def test_showing_the_wake_gesture_does_not_fire_a_rule_for_it_at_once() -> None:
    play = Play(rule("a", "stop", armed=True, thresholds=Thresholds(hold_s=1.2)), wake=WAKE)
    assert play.show("SSSSSSSSSSSSSS......") == []
    assert (play.why[-1].reason, play.why[-1].seen) == ("armed", "the wake gesture itself")
    assert play.show("SSSSSSSSSSSSSS") == [(3.2, "a")]


def test_only_the_wake_hand_wakes() -> None:
    play = Play(rule("a", "fist", armed=True), wake=WakeGesture("stop", 9.0, NORMAL, "left"))
    assert play.show("SSSS.....FFFF.....") == []
    assert play.show("....", "SSSS") == []
    assert play.show("FFFF") == [(2.5, "a")]
