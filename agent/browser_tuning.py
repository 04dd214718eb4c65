"""Thresholds and intent from the page: what other limits would have done to the last minutes of traces."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent.config.load import load
from agent.config.settings import DebounceSettings, Settings
from agent.core.duration import format_duration
from agent.core.thresholds import Thresholds, thresholds_of
from agent.core.trace_tune import LabelledTrace, gesture_starts, label_trace
from agent.core.types import NO_GESTURE
from agent.errors import ConfigError
from agent.installation.settings_file import SettingsFile
from agent.service.trace_files import FOLDER, StoredTrace, traces_of

LAST_S = 600.0  # of traces
FRESH_S = 20.0  # for which traces that were read are used again, so that a slider is answered at once
SAME_S = 1.0  # two starts of a gesture within that time are the same one
OF = "confidence_of."


@dataclass(frozen=True, slots=True)
class Limit:
    """One slider. `key` is below [debounce]; `unit` of a duration is "s"."""

    key: str
    title: str
    unit: str
    low: float
    high: float
    step: float


LIMITS = (
    Limit("hold", "Held for", "s", 0.1, 1.5, 0.05),
    Limit("release", "Gone for, until it ends", "s", 0.1, 1.5, 0.05),
    Limit("raised", "Height of the hand (0 hips, 1 shoulders)", "", -1, 1.5, 0.05),
    Limit("lean", "Lean of the hand", "°", 5, 180, 5),
    Limit("intent.facing", "Head turned away", "°", 5, 180, 5),
    Limit("intent.forearm", "Lean of the forearm", "°", 5, 180, 5),
    Limit("intent.upright", "Lean of the body", "°", 5, 180, 5),
    Limit("intent.still", "Speed of the hand", "widths/s", 0.1, 10, 0.1),
)


class BrowserTuning:
    """Implements `TuningProvider`. Thread-safe; everything here may wait for a disk."""

    def __init__(
        self,
        running: Settings,
        file: SettingsFile,
        environ: Mapping[str, str],
        labels: tuple[str, ...],
        state: Path,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`running` are the settings of the agent, `file` holds those of its next start."""
        self._running, self._file, self._environ, self._wall = running, file, environ, wall
        self._traces = state / FOLDER
        self._limits = [
            *(
                Limit(f"{OF}{g}", f"Confidence of {g}", "", 0.3, 0.99, 0.01)
                for g in labels
                if g != NO_GESTURE
            ),
            *LIMITS,
        ]
        self._lock = threading.Lock()
        self._read: tuple[float, list[tuple[float, LabelledTrace]]] = (float("-inf"), [])

    def state(self) -> dict[str, Any]:
        """The sliders with their values in the settings file, and its etag."""
        etag, written = self._file.etag, self._written()
        return {
            "etag": etag,
            "limits": [
                {
                    **{key: getattr(limit, key) for key in ("key", "title", "unit", "low", "high", "step")},
                    "value": _value(written, limit.key),
                }
                for limit in self._limits
            ],
            "restart": written != self._running.debounce,
        }

    def evaluate(self, values: Mapping[str, float]) -> dict[str, Any]:
        """Starts of the last minutes with the limits that run, and with others. Raises `ConfigError`."""
        wanted = thresholds_of(self._debounce(values))
        with self._lock:
            traces = self._last()
        now, then = (
            sorted(_starts(traces, limits)) for limits in (thresholds_of(self._running.debounce), wanted)
        )
        return {"seconds": round(sum(one.length_s for _, one in traces)), "starts": _compared(now, then)}

    def save(self, values: Mapping[str, float], etag: str) -> None:
        """Write what differs into the settings file. It counts from the next start on."""
        before, after = self._written(), self._debounce(values)
        changes: dict[tuple[str, ...], Any] = {
            ("debounce", *limit.key.split(".")): _as_written(limit, _value(after, limit.key))
            for limit in self._limits
            if limit.key in values and _value(after, limit.key) != _value(before, limit.key)
        }
        if after.keep_confidence != before.keep_confidence:
            changes["debounce", "keep_confidence"] = after.keep_confidence
        self._file.change(changes, etag)

    def _debounce(self, values: Mapping[str, float]) -> DebounceSettings:
        """The settings with other values. Raises `ConfigError` for one that no slider has."""
        known = {limit.key: limit for limit in self._limits}
        merged = self._written().model_dump()
        for key, value in values.items():
            limit = known.get(key)
            if limit is None or not limit.low <= value <= limit.high:
                raise ConfigError(f"{key[:40]} = {value}: expected one of the sliders, within its range")
            table, _, name = key.rpartition(".")
            (merged[table] if table else merged)[name] = value
        asked = [merged["confidence"], *merged["confidence_of"].values()]
        merged["keep_confidence"] = min(merged["keep_confidence"], *asked)
        try:
            return DebounceSettings.model_validate(merged)
        except ValidationError as exc:
            raise ConfigError(exc.errors()[0]["msg"]) from exc

    def _written(self) -> DebounceSettings:
        if not self._file.path.exists():
            return self._running.debounce
        return load(self._file.path, self._environ, need_files=False).settings.debounce

    def _last(self) -> list[tuple[float, LabelledTrace]]:
        """(beginning in s since 1970, trace) of the last minutes; read anew after a while."""
        at, found = self._read
        now = self._wall()
        if now - at > FRESH_S:
            recent = [one for one in traces_of(self._traces) if one.path.stat().st_mtime > now - LAST_S]
            found = [labelled for one in recent if (labelled := self._labelled(one, now)) is not None]
            self._read = now, found
        return found

    def _labelled(self, trace: StoredTrace, now: float) -> tuple[float, LabelledTrace] | None:
        header = trace.header
        if header.started is None:
            return None
        began = datetime.fromisoformat(header.started.replace("Z", "+00:00")).timestamp()
        skipped = max(0.0, now - LAST_S - began)
        recent = replace(header, at=header.at + skipped)
        records = (record for record in trace.records() if record.at >= recent.at)
        return began + skipped, label_trace(recent, records, self._running.debounce.smoothing)


def _value(debounce: DebounceSettings, key: str) -> float:
    if key.startswith(OF):
        return thresholds_of(debounce).required_confidence(key.removeprefix(OF))
    found: Any = debounce
    for part in key.split("."):
        found = getattr(found, part)
    return float(found)


def _as_written(limit: Limit, value: float) -> str | float:
    return format_duration(value) if limit.unit == "s" else round(value, 4)


def _starts(traces: list[tuple[float, LabelledTrace]], thresholds: Thresholds) -> Iterator[tuple[float, str]]:
    """(time in s since 1970, gesture)."""
    for began, labelled in traces:
        for at_s, gesture in gesture_starts(labelled, thresholds):
            yield began + at_s, gesture


def _compared(now: list[tuple[float, str]], then: list[tuple[float, str]]) -> list[dict[str, Any]]:
    """Every start once, the newest first: with both limits, or which of them it needs."""
    left, rows = list(then), []
    for at, gesture in now:
        same = next((one for one in left if one[1] == gesture and abs(one[0] - at) <= SAME_S), None)
        if same is not None:
            left.remove(same)
        rows.append((at, gesture, "now" if same is None else "both"))
    rows += [(at, gesture, "then") for at, gesture in left]
    return [
        {"at_ms": round(at * 1000), "gesture": gesture, "with": which}
        for at, gesture, which in sorted(rows, reverse=True)
    ]
