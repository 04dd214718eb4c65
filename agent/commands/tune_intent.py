"""`gesture-agent tune --intent`: each intent threshold as set, turned off, and strict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agent.commands.output import echo_json, echo_table
from agent.core.intent import STRICT, TURNED_OFF
from agent.core.thresholds import Thresholds
from agent.core.trace_tune import LabelledTrace, TuningResult, evaluate_thresholds

SETTINGS = {"onset_s": "onset", "doubtful_hold_s": "doubtful_hold"}  # where the names differ
TITLES = ("setting", "now", "false", "missed", "off", "false", "missed", "strict", "false", "missed")


def show_intent(takes: Sequence[LabelledTrace], now: Thresholds, *, as_json: bool) -> None:
    """Print a row for each threshold, all others as set; false: false activations."""
    base = evaluate_thresholds(takes, now)
    rows: list[list[str]] = []
    facts: list[dict[str, Any]] = []
    for name, off in TURNED_OFF.items():
        ways = {"now": getattr(now, name), "off": off, "strict": STRICT.get(name)}
        row = [SETTINGS.get(name, name)]
        fact: dict[str, Any] = {"setting": row[0]}
        for way, value in ways.items():
            tried = None if value is None else base if way == "now" else _with(takes, now, name, value)
            row += _cells(value, tried)
            fact[way] = _fact(value, tried)
        rows.append(row)
        facts.append(fact)
    if as_json:
        echo_json({"gestures": base.gestures, "idle_s": round(base.idle_s, 1), "settings": facts})
        return
    echo_table(TITLES, rows)


def _with(takes: Sequence[LabelledTrace], now: Thresholds, name: str, value: Any) -> TuningResult:
    return evaluate_thresholds(takes, replace(now, **{name: value}))


def _cells(value: Any, tried: TuningResult | None) -> list[str]:
    if tried is None:
        return ["", "", ""]
    shown = str(value).lower() if isinstance(value, bool) else f"{value:g}"
    return [shown, str(tried.unmeant), f"{tried.missed} of {tried.gestures}"]


def _fact(value: Any, tried: TuningResult | None) -> dict[str, Any] | None:
    return None if tried is None else {"value": value, "unmeant": tried.unmeant, "missed": tried.missed}
