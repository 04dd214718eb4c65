"""Results of measured scenes: false activations an hour with intervals, misses, detection rates."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest, chi2

from agent.core.trace_tune import LATE_S
from training.synthetic.scenes.hands import Array
from training.synthetic.scenes.measure import join_truth
from training.synthetic.scenes.rig import SIDES
from training.synthetic.scenes.scene import Film, Kind, Scene


@dataclass(frozen=True)
class Start:
    """One gesture start that the pipeline found in a part."""

    part: int
    at: float
    gesture: str
    score: float
    activity: str
    actor: int
    x_share: float
    y_share: float


def parts(folder: Path, kind: Kind) -> list[tuple[int, Path, dict[str, Any]]]:
    """Return seed, trace and counts of all finished parts."""
    return [
        (int(trace.stem[-4:]), trace, json.loads(trace.with_suffix(".json").read_text()))
        for trace in sorted(folder.glob(f"{kind}-????.jsonl"))
    ]


def starts(cast: Path, folder: Path, kind: Kind) -> Iterator[Start]:
    """Return every start, with the settings in force, and the activity of the person."""
    from agent.commands.options import loaded
    from agent.core.types import GestureStarted
    from agent.playback import TraceReplay
    from agent.service.trace_files import open_trace

    settings = loaded(None).settings
    for seed, trace, facts in parts(folder, kind):
        scene: Scene | None = None
        for step in TraceReplay(settings, open_trace(trace)).steps():
            for event in step.events:
                if not isinstance(event, GestureStarted):
                    continue
                scene = scene or Scene(cast, kind, seed, Film.of(facts))
                place = (
                    np.array([event.place.x_share, event.place.y_share]) if event.place else np.full(2, 0.5)
                )
                actor = _whose(scene, step.at_s, place)
                doing = scene.doing(actor, step.at_s)
                yield Start(
                    seed,
                    step.at_s,
                    event.gesture,
                    event.score,
                    doing,
                    actor,
                    float(place[0]),
                    float(place[1]),
                )


def _whose(scene: Scene, at: float, place: Array) -> int:
    """The person whose hand is nearest to a place in the image."""
    frame = min(round(at * scene.film.fps), len(scene.times) - 1)
    away = [
        min(float(np.hypot(*(scene.palms(i, side)[frame][:2] - place))) for side in SIDES)
        for i in range(len(scene.actors))
    ]
    return int(np.argmin(away))


def hours_interval(count: int, hours: float, sure: float = 0.95) -> tuple[float, float]:
    """Return the exact Poisson interval of a rate per hour (Garwood 1936)."""
    tail = (1 - sure) / 2
    low = chi2.ppf(tail, 2 * count) / 2 if count else 0.0
    return float(low / hours), float(chi2.ppf(1 - tail, 2 * count + 2) / 2 / hours)


def share_interval(count: int, of: int, sure: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a share."""
    if not of:
        return 0.0, 1.0
    interval = binomtest(count, of).proportion_ci(sure, "wilson")
    return float(interval.low), float(interval.high)


def of_idle(cast: Path, folder: Path) -> dict[str, Any]:
    """Summarize false activations in idle hours."""
    done = [facts for _, _, facts in parts(folder, "idle")]
    hours = sum(facts["frames"] / facts["fps"] for facts in done) / 3600
    person_hours = sum(facts["frames"] / facts["fps"] * facts["people"] for facts in done) / 3600
    found = list(starts(cast, folder, "idle"))
    low, high = hours_interval(len(found), hours) if hours else (0.0, math.inf)
    return {
        "parts": len(done), "hours": hours, "person_hours": person_hours, "false": len(found),
        "per_hour": len(found) / hours if hours else 0.0, "interval": (low, high),
        "by_gesture": Counter(s.gesture for s in found),
        "by_activity": Counter(s.activity for s in found),
        "minutes_by_activity": _minutes(done), "starts": found, **_found(done),
    }  # fmt: skip


def _minutes(done: list[dict[str, Any]]) -> list[tuple[str, float]]:
    """Minutes of people in each activity, the longest first."""
    seconds: dict[str, float] = {}
    for facts in done:
        for name, lasted in facts["activity_s"].items():
            seconds[name] = seconds.get(name, 0.0) + lasted
    return sorted(((name, s / 60) for name, s in seconds.items()), key=lambda pair: -pair[1])


@dataclass(frozen=True)
class Meant:
    """An intended gesture and whether it was found."""

    part: int
    gesture: str
    start: float
    end: float
    metres: float


def of_gestures(cast: Path, folder: Path) -> dict[str, Any]:
    """Summarize starts where gestures were intended, by the same rule as `tune --truth`."""
    done = parts(folder, "gestures")
    truth = _truth(folder)
    met: dict[Meant, float] = {}
    wrong, false = [], []
    for start in starts(cast, folder, "gestures"):
        shown = [m for m in truth if m.part == start.part and m.start <= start.at <= m.end + LATE_S]
        own = next((m for m in shown if m.gesture == start.gesture and m not in met), None)
        if own:
            met[own] = start.at - own.start
        elif shown:
            wrong.append((start, shown[0].gesture))
        else:
            false.append(start)
    missed = [m for m in truth if m not in met]
    delays = sorted(met.values())
    return {
        "parts": len(done), "meant": len(truth), "missed": len(missed),
        "missed_interval": share_interval(len(missed), len(truth)),
        "by_gesture": _hits(truth, met, lambda m: m.gesture),
        "by_distance": _hits(truth, met, lambda m: f"{_bracket(m.metres)} m"),
        "wrong": wrong, "false": false, "misses": missed,
        "delay_s": round(delays[len(delays) // 2], 3) if delays else None,
        **_found([facts for _, _, facts in done]),
    }  # fmt: skip


def _hits(
    truth: list[Meant], met: Container[Meant], kind: Callable[[Meant], str]
) -> dict[str, tuple[int, int]]:
    """Found and total gestures of each kind."""
    hits: dict[str, tuple[int, int]] = {}
    for meant in sorted(truth, key=kind):
        hit, of = hits.get(kind(meant), (0, 0))
        hits[kind(meant)] = (hit + (meant in met), of + 1)
    return hits


def _bracket(metres: float) -> str:
    """Distance in steps of half a metre, because people move a little."""
    low = int(metres * 2) / 2
    return f"{low:.1f} to {low + 0.5:.1f}"


def _truth(folder: Path) -> list[Meant]:
    with join_truth(folder).open(encoding="utf-8") as file:
        return [
            Meant(
                int(r["trace"][-4:]), r["gesture"], float(r["from_s"]), float(r["to_s"]), float(r["metres"])
            )
            for r in csv.DictReader(file)
        ]


def _found(done: list[dict[str, Any]]) -> dict[str, Any]:
    """Detection rates; None where nothing was present."""
    total: Counter[str] = Counter()
    for facts in done:
        total.update(
            {k: v for k, v in facts.items() if isinstance(v, int) and k not in {"seed", "people", "seated"}}
        )
    share = {
        "people_found": (total["people_found"], total["people_there"]),
        "raised_hands_found": (total["raised_found"], total["raised"]),
        "held_hands_found": (total["held_found"], total["held"]),
    }
    named = {k[:-6]: (total[f"{k[:-6]}_named"], v) for k, v in total.items() if k.endswith("_shown")}
    return {
        "found": share,
        "named": named,
        "people_invented": total["people_invented"],
        "frames": total["frames"],
    }
