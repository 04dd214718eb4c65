"""The engine as its surroundings use it: rehearsals, reloads, verdicts, bounds."""

from __future__ import annotations

from rule_scenario import SLOW, WAKE, Play, rule, sequence
from timelines import LETTERS

from agent.core.rules import ActionTemplate, Dial, RuleEngine, RuleSet
from agent.core.types import LABELS, GestureHeld, GestureStarted


def test_a_rehearsal_does_what_the_rule_would_do_and_remembers_nothing() -> None:
    dial = rule(
        "dim",
        "fist",
        trigger="dial",
        move="vertical",
        dial=Dial(0, 100, 1, 50),
        do=ActionTemplate("publish", "t", "{value}"),
    )
    engine = RuleEngine(RuleSet((rule("a", "stop", cooldown_s=60), dial)))
    assert [a.payload for a in engine.simulate(engine.rule_set.rules[0], "front", 1.0)] == ["a"]
    assert [a.payload for a in engine.simulate(engine.rule_set.rules[1], "front", 1.0)] == ["50"]
    play = Play(rule("a", "stop", cooldown_s=60))
    play.pipeline.rules.simulate(play.pipeline.rules.rule_set.rules[0], "front", 0.0)
    assert play.show("SSSS") == [(0.3, "a")], "no cooldown has begun"


def test_a_reload_keeps_cooldowns_wake_state_and_what_is_on() -> None:
    rule_set = RuleSet((rule("a", "stop", cooldown_s=5), rule("lamp", "fist", armed=True)), wake=WAKE)
    play = Play(*rule_set.rules, wake=WAKE)
    assert play.show("SSSSSSSSS") == [(0.3, "a")]
    play.pipeline.reload(RuleSet((*rule_set.rules, rule("new", "stop")), wake=WAKE))
    assert play.show("SSSS") == [], "the palm is still up: no start"
    assert play.show(".....FFFF") == [(2.1, "lamp")]
    assert play.show(".....SSSS") == [], "still cooling"


def test_a_reload_that_drops_a_rule_forgets_it() -> None:
    play = Play(rule("a", "two", repeat_s=0.2))
    play.show("22222")
    play.pipeline.reload(RuleSet())
    assert play.show("22222") == []


def test_a_verdict_says_what_was_seen_and_what_was_wanted() -> None:
    play = Play(rule("a", "stop", "ok", hand="left"))
    play.show("SSSS.....FFFF")
    assert [(v.reason, v.seen, v.wanted, v.fired) for v in play.why] == [
        ("hand", "right", "left", False),
        ("gesture", "fist", "stop or ok", False),
    ]


def test_single_events_can_be_fed() -> None:
    engine = RuleEngine(RuleSet((rule("a", "stop", repeat_s=0.1), rule("b", "stop", thresholds=SLOW))))
    started = GestureStarted(1.0, "front", 0, "right", "stop", 0.9, 0.3)
    held = GestureHeld(1.1, "front", 0, "right", "stop", 0.9, 0.4)
    assert [a.rule for a in engine.feed(started)] == ["a"]
    assert [a.rule for a in engine.feed(held)] == ["a"]


def test_memory_stays_bounded_over_many_people() -> None:
    engine = RuleEngine(RuleSet((sequence("fist", "stop"), rule("a", "stop", cooldown_s=1, per_person=True))))
    for person in range(5000):
        engine.feed(GestureStarted(person, "front", person, "right", "stop", 0.9, 0.3))
    assert len(engine._fired_at) < 1100
    assert sum(map(len, engine._sequences._steps.values())) <= 64


def test_every_letter_of_the_timelines_is_a_label() -> None:
    assert set(LETTERS.values()) == set(LABELS)
