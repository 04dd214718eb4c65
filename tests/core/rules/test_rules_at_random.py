from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.frames import black_frame
from timelines import scores

from agent.core.gesture_pipeline import GesturePipeline
from agent.core.rules import (
    ANY,
    ActionTemplate,
    Conditions,
    Dial,
    Rule,
    RuleContext,
    RuleSet,
    RuleVerdict,
    ValueIs,
    WakeGesture,
    Zone,
)
from agent.core.thresholds import Thresholds
from agent.core.types import LABELS, Action, Box, Detections, GestureEvent, HandDetection

GESTURES = ["stop", "fist", ANY]
ZONE = Zone("left", (0.0, 0.0, 0.5, 1.0), min_hand=0.1)
THRESHOLDS = st.sampled_from(
    [Thresholds(), Thresholds(hold_s=0.0, release_s=0.0), Thresholds(0.4, 0.4, 0.6, 1.0, 0.0)]
)

CONDITIONS = {
    "hand": st.sampled_from(["left", "right"]),
    "person": st.sampled_from([0, 1]),
    "zone": st.just(ZONE),
    "min_hand": st.sampled_from([0.0, 0.15]),
    "armed": st.booleans(),
    "values": st.just((ValueIs("t", is_="on"),)),
}


@st.composite
def _rules(draw: st.DrawFn) -> Rule:
    trigger = draw(st.sampled_from(["gesture", "sequence", "both", "move", "dial"]))
    some = draw(st.sets(st.sampled_from(sorted(CONDITIONS)), max_size=1))
    conditions: dict[str, Any] = {name: draw(CONDITIONS[name]) for name in sorted(some)}
    if trigger == "move":
        conditions["move"] = draw(st.sampled_from(["left", "right", "up", "down", "wave"]))
    if trigger == "dial":
        conditions["move"] = draw(st.sampled_from(["vertical", "horizontal"]))
    gestures = tuple(draw(st.lists(st.sampled_from(GESTURES[:-1]), min_size=2, max_size=2)))
    if trigger != "sequence":
        gestures = (draw(st.sampled_from(GESTURES)),)
    return Rule(
        id="",
        when=Conditions(trigger, gestures, within_s=3.0, **conditions),
        do=(ActionTemplate("publish", "t/{gesture}", {"value": "{value}", "at": "{held_ms}"}),),
        thresholds=draw(THRESHOLDS),
        cooldown_s=draw(st.sampled_from([0.0, 1.0])),
        repeat_s=draw(st.sampled_from([None, 0.2])) if trigger in {"gesture", "both"} else None,
        continue_matching=draw(st.booleans()),
        dial=Dial(0, 100, 1, 50) if trigger == "dial" else None,
    )


RULES = st.lists(_rules(), min_size=5, max_size=8).map(
    lambda rules: [replace(rule, id=f"rule-{i}") for i, rule in enumerate(rules)]
)
FRAMES = st.lists(
    st.tuples(
        st.sampled_from([*[0.1] * 12, 0.05, 0.5, 4.0, -0.2, -9.0]),
        st.lists(
            st.tuples(
                st.sampled_from(["stop", "fist", "stop", "fist", "ok", "random"]),
                st.sampled_from([0, 0, 0, 1]),
                st.sampled_from(["left", "right"]),
                st.sampled_from([60.0, 200.0, 280.0, 400.0, 600.0]),
                st.sampled_from([100.0, 100.0, 30.0]),
            ),
            min_size=1,
            max_size=2,
        ),
        st.integers(1, 12),
    ),
    min_size=6,
    max_size=20,
)


def play(
    rules: list[Rule], frames: list[Any], why: list[RuleVerdict] | None = None
) -> tuple[GesturePipeline, list[Action]]:
    rule_set = RuleSet(tuple(rules), (ZONE,), WakeGesture("stop", 3.0, Thresholds()))
    pipeline, at, done = GesturePipeline(LABELS, rule_set=rule_set), 500.0, []
    context = RuleContext(dt.time(12), {"t": "on"})
    for gap, hands, times in frames:
        for _ in range(times):
            at += gap if gap > 0 else 0.1
            seen = tuple(
                HandDetection(person, side, Box(x, 240, size), scores(label))
                for label, person, side, x, size in hands
            )
            done += pipeline.process(
                Detections(black_frame("cam", at), len(seen), seen), context, why
            ).actions
        at += min(gap, 0)
    for i in range(80):
        done += pipeline.process(Detections(black_frame("cam", at + i / 10), 0), context, why).actions
    return pipeline, done


@settings(max_examples=60)
@given(RULES, FRAMES)
def test_whatever_happens_all_hands_are_let_go_in_the_end(rules: list[Rule], frames: list[Any]) -> None:
    engine = play(rules, frames)[0].rules
    assert not any(engine._on.values())
    assert not engine._repeats
    assert not engine._grabs
    assert not engine._paths


@settings(max_examples=40)
@given(RULES, FRAMES)
def test_asking_why_changes_nothing_and_every_first_firing_has_its_verdict(
    rules: list[Rule], frames: list[Any]
) -> None:
    why: list[RuleVerdict] = []
    asked = play(rules, frames, why)[1]
    assert asked == play(rules, frames)[1]
    assert {action.rule for action in asked} <= {verdict.rule for verdict in why if verdict.fired}


@settings(max_examples=40)
@given(RULES, FRAMES)
def test_one_event_fires_one_rule_at_most_besides_also(rules: list[Rule], frames: list[Any]) -> None:
    alone = {rule.id for rule in rules if not rule.continue_matching}
    why: list[RuleVerdict] = []
    play(rules, frames, why)
    fired: list[tuple[GestureEvent, str]] = [(v.event, v.rule) for v in why if v.fired and v.rule in alone]
    for (event, first), (other, second) in itertools.pairwise(fired):
        assert event is not other, f"{first} and {second} fired for one event"
