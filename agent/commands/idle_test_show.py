"""Output of `gesture-agent idle-test`: the rate, each start, and what stricter settings would do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import typer

from agent.commands.output import echo_below, echo_table
from agent.core.duration import format_duration
from agent.core.idle_test import Alternative, IdleCount, IdleStart
from agent.core.timestamps import rfc3339
from agent.core.trace_explain import posture_in_words
from agent.core.trace_tune import TuningResult
from agent.evaluation.intervals import poisson

HOUR_S = 3600.0
MOST_SHOWN = 40  # starts
SHORT_S = 600.0  # with less no rate is shown: no start in ten minutes still allows 22 an hour
DURATIONS = ("hold", "onset", "doubtful_hold")
IN_DEBOUNCE = ("hold", "raised", "lean")


def line_of(start: IdleStart) -> str:
    """Return one start as a line of text: time, camera, gesture, confidence and how the hand was held."""
    if start.wall_s is None:
        s = start.at_s
        at = f"{int(s // HOUR_S)}:{int(s % HOUR_S // 60):02}:{s % 60:04.1f}"
    else:
        at = f"{datetime.fromtimestamp(start.wall_s).astimezone():%H:%M:%S}"
    held = posture_in_words(start.observation)
    return f"{at}  {start.camera}: {start.gesture} {start.score:.2f}{held}"


def show(count: IdleCount, costs: Mapping[Alternative, TuningResult], base: TuningResult | None) -> None:
    """Print the result; `costs` (by alternative) and `base` (settings in force) are of intended gestures."""
    for start in count.starts[:MOST_SHOWN]:
        echo_below(line_of(start))
    if len(count.starts) > MOST_SHOWN:
        typer.echo(f"... and {len(count.starts) - MOST_SHOWN} more")
    echo_below(_in_words(count))
    if not count.starts:
        return
    helpful = list(_helpful(count))
    if not helpful:
        echo_below("None of the stricter settings would have prevented a start; see `gesture-agent explain`.")
        return
    typer.echo()
    titles = ("setting", "value", "starts", *(("missed",) if base else ()))
    rows = [["as it is", "", str(len(count.starts)), *_missed(base)]]
    rows += [
        [other.setting, value_of(other), str(left), *_missed(costs.get(other))] for other, left in helpful
    ]
    echo_table(titles, rows)
    typer.echo()
    _advise(count, helpful, costs, base)


def as_document(
    count: IdleCount, costs: Mapping[Alternative, TuningResult], base: TuningResult | None
) -> dict[str, Any]:
    """Return the result as JSON."""
    low, high = interval(count)
    return {
        "watched_s": round(count.watched_s, 1),
        "hands_s": round(count.hands_s, 1),
        "starts": [
            {
                "at_s": round(start.at_s, 2),
                "ts": None if start.wall_s is None else rfc3339(start.wall_s),
                "camera": start.camera,
                "gesture": start.gesture,
                "score": round(start.score, 3),
            }
            for start in count.starts
        ],
        "an_hour": round(count.an_hour, 3),
        "interval": [round(low, 3), round(high, 3)],
        "gestures": base.gestures if base else 0,
        "missed": base.missed if base else None,
        "settings": [
            {
                "setting": other.setting,
                "value": other.value,
                "starts": left,
                "missed": costs[other].missed if other in costs else None,
            }
            for other, left in count.left.items()
        ],
    }


def interval(count: IdleCount) -> tuple[float, float]:
    """Return the 95 % interval of starts an hour (Poisson)."""
    if not count.watched_s:
        return 0.0, 0.0
    low, high = poisson(len(count.starts))
    return low * HOUR_S / count.watched_s, high * HOUR_S / count.watched_s


def format_time(seconds: float) -> str:
    """Return a time of observation as text: "7 h 59 min", "3.2 min"."""
    if seconds >= HOUR_S:
        return f"{int(seconds // HOUR_S)} h {int(seconds % HOUR_S // 60)} min"
    return f"{seconds / 60:.1f} min"


def value_of(other: Alternative) -> str:
    """Return the value as config.toml has it."""
    return f'"{format_duration(other.value)}"' if other.setting in DURATIONS else f"{other.value:g}"


def config_lines(other: Alternative) -> str:
    """Return an alternative as lines for config.toml."""
    section, _, key = f"debounce.{other.setting}".rpartition(".")
    if section == "debounce" and other.setting not in IN_DEBOUNCE:
        section = "debounce.intent"
    return f"[{section}]\n{key} = {value_of(other)}"


def _helpful(count: IdleCount) -> Iterator[tuple[Alternative, int]]:
    """Yield the alternatives with fewer starts, the best first."""
    fewer = [(other, left) for other, left in count.left.items() if left < len(count.starts)]
    yield from sorted(fewer, key=lambda one: one[1])


def _missed(cost: TuningResult | None) -> list[str]:
    return [f"{cost.missed} of {cost.gestures}"] if cost else []


def _advise(
    count: IdleCount,
    helpful: list[tuple[Alternative, int]],
    costs: Mapping[Alternative, TuningResult],
    base: TuningResult | None,
) -> None:
    """Print the best alternative that costs no intended gesture."""
    if base is None:
        echo_below(
            "What a setting costs is not known: record intended gestures with `gesture-agent record` and "
            "give them with --meant and --truth."
        )
        return
    free = [(other, left) for other, left in helpful if costs[other].missed <= base.missed]
    if not free:
        echo_below("Each of these settings costs intended gestures; choose by the table.")
        return
    other, left = free[0]
    echo_below(
        f"{left} instead of {len(count.starts)} starts, and no other intended gesture missed, "
        "with these lines in config.toml:"
    )
    typer.echo(f"\n{config_lines(other)}")


def _in_words(count: IdleCount) -> str:
    """The count and its rate; no rate of a time that is too short for one."""
    low, high = interval(count)
    text = f"{len(count.starts)} starts in {format_time(count.watched_s)}"
    text += f" (a hand was in view for {format_time(count.hands_s)})"
    if count.watched_s < SHORT_S:
        return f"{text}. Watch for an hour or more to know a rate."
    if not count.starts:
        return f"{text}: fewer than {high:.1f} an hour (95 %)"
    return f"{text}: {count.an_hour:.1f} an hour (95 %: {low:.1f} to {high:.1f})"
