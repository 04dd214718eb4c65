"""Stateless conditions of a rule, which need only the event and the context."""

from __future__ import annotations

from collections.abc import Callable

from agent.core.rules.rule_set import ANY, Conditions, RuleContext
from agent.core.rules.verdict import Refusal
from agent.core.types import Gesture

_Condition = Callable[[Conditions, Gesture, RuleContext], Refusal | None]


def refusal(when: Conditions, event: Gesture, context: RuleContext) -> Refusal | None:
    """Return the first condition that does not hold, or None when all hold."""
    for condition in (_gesture, _camera, _hand, _person, _zone, _min_hand, _between, _values):
        if refused := condition(when, event, context):
            return refused
    return None


def place_refusal(when: Conditions, event: Gesture) -> Refusal | None:
    """Return the first condition on who and where that does not hold, or None; for steps of a sequence."""
    for condition in (_camera, _hand, _person, _zone, _min_hand):
        if refused := condition(when, event, RuleContext()):
            return refused
    return None


def _gesture(when: Conditions, event: Gesture, _: RuleContext) -> Refusal | None:
    wanted = when.gestures[-1:] if when.trigger == "sequence" else when.gestures
    if event.gesture in wanted or ANY in wanted:
        return None
    return Refusal("gesture", event.gesture, " or ".join(wanted))


def _camera(when: Conditions, event: Gesture, _: RuleContext) -> Refusal | None:
    wanted = when.camera or (when.zone.camera if when.zone else None)
    return None if wanted in {None, event.camera} else Refusal("camera", event.camera, str(wanted))


def _hand(when: Conditions, event: Gesture, _: RuleContext) -> Refusal | None:
    return None if when.hand in {None, event.hand} else Refusal("hand", event.hand, str(when.hand))


def _person(when: Conditions, event: Gesture, _: RuleContext) -> Refusal | None:
    return (
        None
        if when.person in {None, event.person}
        else Refusal("person", str(event.person), str(when.person))
    )


def _zone(when: Conditions, event: Gesture, _: RuleContext) -> Refusal | None:
    if when.zone is None or when.zone.contains(event.place):
        return None
    at = f"({event.place.x_share:.2f}, {event.place.y_share:.2f})" if event.place else "an unknown place"
    return Refusal("zone", at, f"zone {when.zone.name} {list(when.zone.box)}")


def _min_hand(when: Conditions, event: Gesture, _: RuleContext) -> Refusal | None:
    wanted = max(when.min_hand, when.zone.min_hand if when.zone else 0.0)
    seen = event.place.height_share if event.place else 0.0
    return None if seen >= wanted else Refusal("min_hand", f"{seen:.3f}", f"at least {wanted:g}")


def _between(when: Conditions, _: Gesture, context: RuleContext) -> Refusal | None:
    if when.between is None or (context.time and when.between.contains(context.time)):
        return None
    seen = f"{context.time:%H:%M}" if context.time else "an unknown time"
    return Refusal("between", seen, f"{when.between.start:%H:%M} to {when.between.end:%H:%M}")


def _values(when: Conditions, _: Gesture, context: RuleContext) -> Refusal | None:
    for test in when.values:
        payload = context.values.get(test.topic)
        if not test.holds(payload):
            seen = f"{test.topic} never heard" if payload is None else f"{test.topic} = {payload[:60]}"
            return Refusal("if", seen, test.wanted)
    return None
