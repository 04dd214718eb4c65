"""Actions of a firing rule, with their templates filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.core.numbers import write_json
from agent.core.rules.rule_set import ActionTemplate, Rule
from agent.core.rules.templates import fill, fill_json
from agent.core.types import Action, GestureEvent


def actions(
    rule: Rule, event: GestureEvent, *, zone: str, move: str = "", value: float | str = ""
) -> Iterator[Action]:
    """Yield a firing rule's actions in file order, with the event's fields filled into their templates."""
    fields = {
        "gesture": event.gesture,
        "hand": event.hand,
        "person": event.person,
        "camera": event.camera,
        "zone": zone,
        "confidence": round(event.score, 2),
        "held_ms": round(event.held_s * 1000),
        "rule": rule.id,
        "move": move,
        "value": value,
    }
    for do in rule.do:
        yield _action(do, rule, event, fields)


def _action(do: ActionTemplate, rule: Rule, event: GestureEvent, fields: Mapping[str, Any]) -> Action:
    if isinstance(do.payload, str):
        payload = fill(do.payload, fields)
    else:
        payload = write_json(fill_json(do.payload, fields))
    return Action(
        kind=do.kind,
        rule=rule.id,
        at=event.at,
        max_age_s=rule.max_age_s,
        target=fill(do.target, fields),
        payload=payload,
        retain=do.retain,
        options=tuple((name, fill(text, fields)) for name, text in do.options),
        event=event,
    )
