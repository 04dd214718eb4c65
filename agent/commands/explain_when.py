"""Finds the part of the daemon's traces that covers a given time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from agent.commands.options import duration
from agent.core.trace_explain import seconds
from agent.playback import started_wall_s

if TYPE_CHECKING:
    from agent.core.trace import TraceHeader, TraceRecord
    from agent.service.trace_files import StoredTrace

GOES_ON_S = 5.0  # a file that begins where the previous one ends belongs to the same run
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class RecordedTime:
    """A time of one run of the daemon, with the trace files around it; `at_s` counts from the first."""

    parts: tuple[StoredTrace, ...]
    path: Path
    at_s: float
    by_clock: bool

    @property
    def header(self) -> TraceHeader:
        """Header of the first file: times count from there."""
        return self.parts[0].header

    def records(self) -> Iterator[TraceRecord]:
        """Records of all files, in order."""
        for part in self.parts:
            yield from part.records()

    def time_text(self, at_s: float) -> str:
        """Format a time: as time of day where one was given or the daemon wrote it; else in seconds."""
        began = started_wall_s(self.parts[0])
        if began is None or not self.by_clock:
            return seconds(at_s)
        return f"{datetime.fromtimestamp(began + at_s).astimezone():%H:%M:%S.%f}"[:-5]


def find_moment(traces: Sequence[StoredTrace], at: str | None) -> RecordedTime:
    """Find the trace files for a time: seconds of one trace, a time of day, or None for the last end."""
    if at is None:
        parts = _run(traces, len(traces) - 1)
        last = parts[0].header.at
        for part in parts[-1:]:
            last = max((record.at for record in part.records()), default=part.header.at)
        return RecordedTime(
            parts, traces[-1].path, last - parts[0].header.at, started_wall_s(parts[0]) is not None
        )
    if clock := _CLOCK.fullmatch(at.strip()):
        hour, minute, second = (int(part or 0) for part in clock.groups())
        return _by_clock(traces, hour, minute, second)
    if len(traces) != 1:
        raise typer.BadParameter('name one trace, or a time of day as in "20:15"', param_hint="--at")
    return RecordedTime((traces[0],), traces[0].path, duration(at), by_clock=False)


def _by_clock(traces: Sequence[StoredTrace], hour: int, minute: int, second: int) -> RecordedTime:
    """Time of day of today, or of yesterday if it is still to come."""
    now = datetime.now().astimezone()
    wanted = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
    if wanted > now:
        wanted -= timedelta(days=1)
    begun = [(began, index) for index, one in enumerate(traces) if (began := started_wall_s(one)) is not None]
    if not begun:
        raise typer.BadParameter(
            f"{traces[0].path.name} is of a clip and knows no time of day; write seconds, as in 12.3s",
            param_hint="--at",
        )
    before = [(began, index) for began, index in begun if began <= wanted.timestamp()]
    if not before:
        first = datetime.fromtimestamp(begun[0][0]).astimezone()
        raise typer.BadParameter(f"the traces begin at {first:%H:%M:%S on %d %B}", param_hint="--at")
    index = max(before)[1]
    parts = _run(traces, index)
    began = started_wall_s(parts[0])
    assert began is not None  # noqa: S101 (`begun` has it)
    return RecordedTime(parts, traces[index].path, wanted.timestamp() - began, by_clock=True)


def _run(traces: Sequence[StoredTrace], index: int) -> tuple[StoredTrace, ...]:
    """A file with the one before and after it, where they belong to the same run of the daemon."""
    first = index - 1 if index > 0 and _goes_on(traces[index - 1], traces[index]) else index
    last = index + 1 if index + 1 < len(traces) and _goes_on(traces[index], traces[index + 1]) else index
    return tuple(traces[first : last + 1])


def _goes_on(a: StoredTrace, b: StoredTrace) -> bool:
    began, later = started_wall_s(a), started_wall_s(b)
    if began is None or later is None or a.header.settings != b.header.settings:
        return False
    return b.header.at > a.header.at and abs((later - began) - (b.header.at - a.header.at)) < GOES_ON_S
