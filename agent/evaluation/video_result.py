"""Figures of a video evaluation: false positives an hour, misses, and reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from agent.evaluation.clip_judge import Judged, Start
from agent.evaluation.intervals import poisson, wilson

HOUR_S = 3600.0


@dataclass(frozen=True)
class Rate:
    """False positives in idle time: how many, in how many seconds."""

    clips: int
    idle_s: float
    starts: int

    @property
    def an_hour(self) -> float | None:
        """False positives an hour; None without idle time."""
        return self.starts * HOUR_S / self.idle_s if self.idle_s else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % confidence interval of the false positives an hour; None without idle time."""
        if not self.idle_s:
            return None
        low, high = poisson(self.starts)
        return low * HOUR_S / self.idle_s, high * HOUR_S / self.idle_s


@dataclass(frozen=True)
class VideoResult:
    """Figures of all clips together."""

    judged: Sequence[Judged]
    model: str
    fps: float

    @cached_property
    def false(self) -> list[Start]:
        """Starts outside all labelled gestures (false positives)."""
        return [s for one in self.judged for s in one.starts if s.kind == "false"]

    @property
    def rate(self) -> Rate:
        """False positive rate over all idle time, including that between labelled gestures."""
        return _rate(self.judged)

    @property
    def kinds(self) -> dict[str, Rate]:
        """False positive rate of each kind of clip."""
        names = dict.fromkeys(one.clip.kind for one in self.judged)
        return {name: _rate([one for one in self.judged if one.clip.kind == name]) for name in names}

    @property
    def counts(self) -> dict[str, int]:
        """Counts of labelled gestures, of those started and missed, and of wrong and doubled starts."""
        kinds = Counter(s.kind for one in self.judged for s in one.starts)
        meant = sum(len(one.clip.spans) for one in self.judged)
        missed = sum(len(one.missed) for one in self.judged)
        return {
            "meant": meant, "started": meant - missed, "missed": missed,
            "wrong": kinds["wrong"], "doubled": kinds["doubled"],
        }  # fmt: skip

    @property
    def missed_interval(self) -> tuple[float, float]:
        """95 % confidence interval of the share of missed gestures, 0..1."""
        counts = self.counts
        return wilson(counts["missed"], counts["meant"])

    @property
    def by_gesture(self) -> dict[str, dict[str, int]]:
        """Counts for each gesture: false positives, held back, labelled, missed, wrong, doubled."""
        found: dict[str, Counter[str]] = {}
        for one in self.judged:
            for start in one.starts:
                if start.kind != "right":
                    found.setdefault(start.gesture, Counter())[start.kind] += 1
            for start in one.held_back if one.clip.idle else ():
                found.setdefault(start.gesture, Counter())["held back"] += 1
            for span in one.clip.spans:
                found.setdefault(span.gesture, Counter())["meant"] += 1
            for miss in one.missed:
                found.setdefault(miss.span.gesture, Counter())["missed"] += 1
        return {gesture: dict(found[gesture]) for gesture in sorted(found)}

    @property
    def by_reason(self) -> dict[str, dict[str, int]]:
        """Counts for each threshold: starts held back while idle, and labelled gestures missed by it."""
        idle = Counter(s.reason for one in self.judged if one.clip.idle for s in one.held_back)
        missed = Counter(m.reason for one in self.judged for m in one.missed)
        return {r: {"held back while idle": idle[r], "missed": missed[r]} for r in sorted({*idle, *missed})}


def _rate(judged: Sequence[Judged]) -> Rate:
    false = sum(s.kind == "false" for one in judged for s in one.starts)
    return Rate(len(judged), sum(one.idle_s for one in judged), false)


def as_json(result: VideoResult) -> dict[str, Any]:
    """Return a video evaluation as plain data for JSON.

    Keys: `clips`, `idle_s`, `false`, `false_per_hour`, `interval`, `meant`, `missed`, `wrong`, `doubled`,
    `kinds`, `by_gesture`, `by_reason`, and every start that is not right with its clip and time.
    """
    rate = result.rate
    return {
        "model": result.model,
        "fps": result.fps,
        "clips": rate.clips,
        **_figures(rate),
        **result.counts,
        "missed_interval": _rounded(result.missed_interval),
        "kinds": {name: {"clips": r.clips, **_figures(r)} for name, r in result.kinds.items()},
        "by_gesture": result.by_gesture,
        "by_reason": result.by_reason,
        "starts": [
            {
                "clip": str(s.clip.path), "at_s": round(s.at_s, 2), "gesture": s.gesture, "kind": s.kind,
                "confidence": round(s.score, 3),
            }
            for one in result.judged for s in one.starts if s.kind != "right"
        ],
        "missed_gestures": [
            {
                "clip": str(m.clip.path), "gesture": m.span.gesture, "from_s": m.span.from_s,
                "reason": m.reason, "words": m.words,
            }
            for one in result.judged for m in one.missed
        ],
    }  # fmt: skip


def _figures(rate: Rate) -> dict[str, Any]:
    return {
        "idle_s": round(rate.idle_s, 1),
        "false": rate.starts,
        "false_per_hour": None if rate.an_hour is None else round(rate.an_hour, 2),
        "interval": _rounded(rate.interval),
    }


def _rounded(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else [round(end, 4) for end in interval]
