"""Times of day, and what topics say."""

from __future__ import annotations

import datetime as dt

import pytest
from rule_scenario import Play, rule

from agent.core.rules import Between, Dial, RuleContext, RuleSet, ValueIs


@pytest.mark.parametrize(
    ("clock", "fires"),
    [("21:59", False), ("22:00", True), ("23:59", True), ("00:00", True), ("05:59", True), ("06:00", False)],
)
def test_a_time_of_day_may_run_through_midnight(clock: str, fires: bool) -> None:
    night = Between(dt.time(22), dt.time(6))
    context = RuleContext(dt.time.fromisoformat(clock))
    assert bool(Play(rule("a", "ok", between=night)).show("OOOO", context=context)) == fires


def test_a_time_of_day_within_one_day_and_an_unknown_one() -> None:
    day = rule("a", "ok", between=Between(dt.time(6), dt.time(22)))
    assert Play(day).show("OOOO", context=RuleContext(dt.time(12)))
    assert not Play(day).show("OOOO", context=RuleContext(dt.time(23)))
    play = Play(day)
    assert not play.show("OOOO", context=RuleContext())
    assert (play.why[-1].reason, play.why[-1].seen) == ("between", "an unknown time")


@pytest.mark.parametrize(
    ("test", "payload", "holds"),
    [
        (ValueIs("t", is_="on"), "on", True),
        (ValueIs("t", is_="on"), " on\n", True),
        (ValueIs("t", is_="on"), "off", False),
        (ValueIs("t", is_="on"), None, False),
        (ValueIs("t", not_="off"), "on", True),
        (ValueIs("t", not_="off"), None, False),
        (ValueIs("t", is_=True), "true", True),
        (ValueIs("t", is_=5), "5.0", True),
        (ValueIs("t", above=20, below=25), "21.5", True),
        (ValueIs("t", above=20, below=25), "25", False),
        (ValueIs("t", above=20), "warm", False),
        (ValueIs("t", ("state",), is_="ON"), '{"state": "ON"}', True),
        (ValueIs("t", ("a", "1", "b"), is_=2), '{"a": [0, {"b": 2}]}', True),
        (ValueIs("t", ("a", "9"), is_=2), '{"a": [0]}', False),
        (ValueIs("t", ("state",), is_=True), '{"state": true}', True),
        (ValueIs("t", ("state",), is_="ON"), "ON", False),
        (ValueIs("t", ("state",), not_="ON"), '{"state": null}', False),
        (ValueIs("t", ("state",), above=1), '{"state": true}', False),
        (ValueIs("t", ("a",), is_="x"), "[" * 100_000, False),
    ],
)
def test_a_value_of_a_topic(test: ValueIs, payload: str | None, holds: bool) -> None:
    assert test.holds(payload) is holds


def test_a_value_is_asked_when_the_gesture_starts() -> None:
    play = Play(rule("a", "ok", values=(ValueIs("tv", is_="on"),)))
    assert play.show("OOOO......", context=RuleContext(values={"tv": "off"})) == []
    assert (play.why[-1].reason, play.why[-1].seen, play.why[-1].wanted) == ("if", "tv = off", "tv is on")
    assert play.show("OOOO......", context=RuleContext(values={"tv": "on"})) == [(1.3, "a")]
    assert play.show("OOOO......") == []
    assert play.why[-1].seen == "tv never heard"


def test_the_book_lists_the_topics_that_must_be_heard() -> None:
    dial = Dial(0, 255, 1, 128, follow=("lamp", ("brightness",)))
    rule_set = RuleSet(
        (rule("a", "ok", values=(ValueIs("tv", is_="on"),)), rule("b", "ok", trigger="dial", dial=dial))
    )
    assert rule_set.topics == {"tv", "lamp"}
