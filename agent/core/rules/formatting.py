"""Formatting of rules as text and as plain data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from agent.core.duration import format_duration
from agent.core.redaction import redacted_payload, server_only
from agent.core.rules import Rule
from agent.core.types import Action

SHOWN_CHARS = 40  # of a payload


def describe_conditions(rule: Rule) -> str:
    """Return a rule's conditions as text: `fist then stop, within 2s, right hand, in zone sofa, armed`."""
    return ", ".join(_conditions(rule))


def describe_actions(rule: Rule) -> str:
    """Return a rule's actions as text without secrets: `publish home/scene/set all_off; key KEY_MUTE`."""
    return "; ".join(_action(do.kind, do.target, do.payload) for do in rule.do)


def describe_action(action: Action) -> str:
    """Return a performed action as text without secrets, with its whole payload."""
    payload = redacted_payload(action.payload)
    return f"{action.kind} {public_target(action.kind, action.target)} {payload}".rstrip()


def public_target(kind: str, target: str) -> str:
    """Return an action's target without secrets: of a webhook only its server, as paths may hold tokens."""
    # Whatever a damaged row says of its kind, an address is one.
    return server_only(target) if kind == "webhook" or target.startswith(("http://", "https://")) else target


def rule_facts(rule: Rule) -> dict[str, Any]:
    """Return a rule without secrets as a JSON-serialisable dict, for `--json` output."""
    return {
        "id": rule.id,
        "trigger": rule.when.trigger,
        "gestures": rule.when.gestures,
        "when": describe_conditions(rule),
        "does": [
            {
                "kind": do.kind,
                "target": public_target(do.kind, do.target),
                "payload": redacted_payload(do.payload),
                "retain": do.retain,
            }
            for do in rule.do
        ],
        "hold_s": rule.thresholds.hold_s,
        "cooldown_s": rule.cooldown_s,
        "repeat_s": rule.repeat_s,
        "also": rule.continue_matching,
    }


def _conditions(rule: Rule) -> Iterator[str]:
    asked = rule.when
    if asked.trigger == "sequence":
        yield f"{' then '.join(asked.gestures)}, within {format_duration(asked.within_s)}"
    else:
        both = "both hands " if asked.trigger == "both" else ""
        move = f" moved {asked.move}" if asked.move else ""
        yield f"{both}{' or '.join(asked.gestures)}{move}"
    if asked.hand:
        yield f"{asked.hand} hand"
    if asked.person is not None:
        yield f"person {asked.person}"
    if asked.camera:
        yield f"camera {asked.camera}"
    if asked.zone:
        yield f"in zone {asked.zone.name}"
    if asked.min_hand:
        yield f"hand at least {asked.min_hand:.0%} of the picture"
    if asked.armed:
        yield "armed"
    if asked.between:
        yield f"{asked.between.start:%H:%M} to {asked.between.end:%H:%M}"
    yield from (f"if {test.wanted}" for test in asked.values)
    if rule.repeat_s:
        yield f"every {format_duration(rule.repeat_s)} while held"


def _action(kind: str, target: str, payload: Any) -> str:
    shown = redacted_payload(payload)
    text = shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)
    return f"{kind} {public_target(kind, target)} {text[:SHOWN_CHARS]}".rstrip()
