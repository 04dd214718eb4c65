"""Lists of labelled videos: CSV with a row for each idle clip or each labelled gesture."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agent.core.trace_tune import TruthSpan
from agent.core.types import NO_GESTURE
from agent.errors import ConfigError

IDLE = "idle"
FORM = (
    "expected a column path (or file), and gesture, from_s, to_s for what is meant in it; "
    '"idle", or no column gesture at all: nothing is'
)
WHOLE_S = 1e9  # a gesture without times covers the whole clip
MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Clip:
    """One video, or a folder of numbered images, with its labelled gestures; without spans it is idle."""

    path: Path
    kind: str = ""
    spans: tuple[TruthSpan, ...] = ()

    @property
    def idle(self) -> bool:
        """Whether the clip has no labelled gesture."""
        return not self.spans


def read_videos(manifest: Path, root: Path, labels: Sequence[str]) -> list[Clip]:
    """Read every clip, in order; several rows of one path are one clip. Raises `ConfigError`.

    Columns: `path` or `file`; `gesture` ("idle" or "random": none; without `from_s` and `to_s`, in seconds:
    the whole clip); `kind`, by which results are grouped. The error names every invalid row.
    """
    try:
        text = manifest.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{manifest}: cannot be read: {exc}; {FORM}") from exc
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    named = {"path", "file"} & set(rows.fieldnames or ())
    if not named:
        raise ConfigError(f"{manifest}:1: columns {', '.join(rows.fieldnames or ['none'])}; {FORM}")
    column = "path" if "path" in named else "file"
    gestures = [label for label in labels if label != NO_GESTURE]
    clips: dict[Path, Clip] = {}
    problems = []
    for row in rows:
        path = root / (row[column] or "").strip()
        clip = clips.setdefault(path, Clip(path, (row.get("kind") or "").strip()))
        if not path.exists():
            problems.append(f"{manifest}:{rows.line_num}: {path}: no such file; paths are relative to --root")
        try:
            if span := _span(row, gestures):
                clips[path] = replace(clip, spans=(*clip.spans, span))
        except ValueError as exc:
            problems.append(f"{manifest}:{rows.line_num}: {exc}")
    if problems:
        more = f"\n... and {len(problems) - MOST_SHOWN} more" if len(problems) > MOST_SHOWN else ""
        raise ConfigError("\n".join(problems[:MOST_SHOWN]) + more)
    if not clips:
        raise ConfigError(f"{manifest}: no row to judge; {FORM}")
    return list(clips.values())


def _span(row: Mapping[str, str | None], gestures: Sequence[str]) -> TruthSpan | None:
    """The labelled span of a row; None for an idle one."""
    gesture = (row.get("gesture") or "").strip()
    if gesture in {"", IDLE, NO_GESTURE}:
        return None
    if gesture not in gestures:
        raise ValueError(f"gesture {gesture!r}; expected one of {', '.join(gestures)}, {IDLE}")
    start, end = ((row.get(name) or "").strip() for name in ("from_s", "to_s"))
    try:
        span = TruthSpan(gesture, float(start or 0.0), float(end or WHOLE_S))
    except ValueError as exc:
        raise ValueError(f"from_s {start!r}, to_s {end!r}: expected seconds, as in 1.5") from exc
    if not 0 <= span.from_s < span.to_s:
        raise ValueError(f"{gesture} goes from {span.from_s:g} s to {span.to_s:g} s")
    return span
