"""Trace files on disk: a single file, or a ring of files with a size limit."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import structlog

from agent.config.regular_file import visible_files
from agent.config.settings import Settings
from agent.config.trace_settings import trace_header
from agent.core.timestamps import rfc3339
from agent.core.trace import TraceDecoder, TraceEncoder, TraceHeader, TraceRecord, is_header, read_header
from agent.errors import ConfigError
from agent.supervision import Threads

if TYPE_CHECKING:
    from typing_extensions import Self

FOLDER = "trace"  # in the state folder
PARTS = 8  # files in a full ring: one eighth is dropped at once
FLUSH_S = 2.0  # seconds of trace that a power failure may lose
RETRY_S = 60.0  # seconds between retries after a full disk
QUEUED = 2000  # records that wait for the disk: a minute of two cameras at 15 frames/s, some 2 MB
CLOSE_S = 2.0
MODE = 0o600  # private: a trace shows when somebody was in the room

log = structlog.get_logger(__name__)


class TraceFile:
    """Writer of one trace, line by line. Raises `OSError`."""

    def __init__(self, path: Path, header: TraceHeader) -> None:
        self.bytes = 0
        self.began_at = header.at
        self._encoder = TraceEncoder()
        self._flushed_at = header.at
        self._file: TextIO = os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, MODE), "w", encoding="utf-8", newline="\n"
        )
        self._write(self._encoder.header(header))

    def record(self, record: TraceRecord) -> None:
        """Append a record."""
        for line in self._encoder.lines(record):
            self._write(line)
        if record.at - self._flushed_at >= FLUSH_S:
            self._flushed_at = record.at
            self._file.flush()

    def _write(self, line: str) -> None:
        self.bytes += self._file.write(line + "\n")

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RotatingTraceWriter:
    """Ring of trace files with the last hours; the oldest are deleted.

    A full disk stops it, not the agent.
    """

    def __init__(
        self, folder: Path, header: TraceHeader, *, size_bytes: int, keep_s: float, wall: Callable[[], float]
    ) -> None:
        """`wall` returns seconds since 1970, for the names and the age of files."""
        self._folder, self._header, self._wall = folder, header, wall
        self._part_bytes, self._size_bytes = size_bytes // PARTS, size_bytes
        self._keep_s = keep_s
        self._file: TraceFile | None = None
        self._silent_until: float | None = None

    def record(self, record: TraceRecord) -> None:
        """Append a record. Never raises."""
        if self._silent_until is not None and record.at < self._silent_until:
            return
        try:
            self._current(record.at).record(record)
            self._silent_until = None
        except OSError as exc:
            if self._silent_until is None:
                log.error("trace_lost", folder=str(self._folder), reason=exc.strerror, retry_s=RETRY_S)
            self._silent_until = record.at + RETRY_S
            self.close()

    def close(self) -> None:
        """Close the file; records that cannot be written are dropped."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as exc:
                log.error("trace_lost", folder=str(self._folder), reason=exc.strerror)

    def _current(self, at: float) -> TraceFile:
        file = self._file
        if file and file.bytes < self._part_bytes and at - file.began_at < self._keep_s / PARTS:
            return file
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # who did what when is nobody else's
        self._drop_old()
        now = self._wall()
        started = datetime.fromtimestamp(now, timezone.utc)
        header = replace(self._header, at=at, started=rfc3339(now))
        self._file = TraceFile(self._folder / f"{started:%Y%m%dT%H%M%S%f}.jsonl", header)
        return self._file

    def _drop_old(self) -> None:
        """Delete the oldest files until one more fits."""
        parts = visible_files(self._folder, lambda name: name.endswith(".jsonl"))
        files = [(path, path.stat()) for path in reversed(parts)]
        used = 0
        for path, stat in files:
            used += stat.st_size
            old = self._wall() - stat.st_mtime > self._keep_s
            if old or used > self._size_bytes - self._part_bytes:
                path.unlink(missing_ok=True)


class TraceWriterThread:
    """Writes trace records in a thread of its own, so that callers never wait for the disk.

    If the disk hangs, records that do not fit into the queue are dropped, counted and logged.
    """

    def __init__(self, ring: RotatingTraceWriter, threads: Threads | None = None) -> None:
        self._ring = ring
        self._queue: queue.Queue[TraceRecord | None] = queue.Queue(QUEUED)
        self._lost = 0
        self._thread = (threads or Threads()).thread("trace", self._write)
        self._thread.start()

    def record(self, record: TraceRecord) -> None:
        """Queue a record. Never raises, never waits."""
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._lost += 1
            if self._lost == 1:
                log.error("trace_lost", reason="the disk is too slow", moments_wait=QUEUED)
            return
        if self._lost:
            log.info("trace_recovered", moments_lost=self._lost)
            self._lost = 0

    def close(self) -> None:
        """Write queued records, with a time limit; a hung disk is abandoned."""
        with suppress(queue.Full):
            self._queue.put(None, timeout=CLOSE_S)
        self._thread.join(CLOSE_S)

    def _write(self) -> None:
        self._thread.rests()  # a disk that hangs loses the trace, no more
        try:
            while (record := self._queue.get()) is not None:
                self._ring.record(record)
        finally:
            self._ring.close()


class NullTraceWriter:
    """Trace writer that does nothing, for when tracing is off."""

    def record(self, record: TraceRecord) -> None:
        """Discard the record."""

    def close(self) -> None:
        """Do nothing."""


def build_trace_writer(
    settings: Settings, labels: tuple[str, ...], state: Path, threads: Threads | None = None
) -> TraceWriterThread:
    """Build the trace ring in the state folder with its writer thread, or a `NullTraceWriter`."""
    ring = RotatingTraceWriter(
        state / FOLDER,
        trace_header(settings, labels),
        size_bytes=settings.trace.bytes,
        keep_s=settings.trace.keep,
        wall=time.time,
    )
    return TraceWriterThread(ring, threads)


@dataclass(frozen=True, slots=True)
class StoredTrace:
    """A trace on disk; it can be read more than once."""

    path: Path
    header: TraceHeader

    def records(self) -> Iterator[TraceRecord]:
        """Iterate over the records. A truncated last line is left out. Raises `ConfigError`."""
        decoder = TraceDecoder(self.header)
        with self._lines() as file:
            next(file, None)
            for number, line in enumerate(file, start=2):
                try:
                    yield from decoder.records(line)
                except ValueError as exc:
                    if line.endswith("\n"):
                        raise ConfigError(f"{self.path}:{number}: {exc}; record it again") from exc

    def _lines(self) -> TextIO:
        return self.path.open(encoding="utf-8", errors="replace", newline="\n")


def traces_of(place: Path) -> list[StoredTrace]:
    """Return the traces of a folder, in the order of their names, which is that of time, or of one file.

    A file of the ring without a complete header is left out. Raises `ConfigError`.
    """
    if not os.path.isdir(place):  # noqa: PTH112 (does not raise: opening says why)
        return [open_trace(place)]
    try:
        parts = visible_files(place, lambda name: name.endswith(".jsonl"))
    except OSError as exc:
        raise ConfigError(f"{place}: {exc.strerror}") from exc
    found = [open_trace(part) for part in parts if part.stat().st_size]
    if not found:
        raise ConfigError(
            f"{place}: holds no trace; the daemon writes them unless [trace] says enabled = false, "
            "and `gesture-agent record` makes one"
        )
    return found


def is_trace(source: str) -> bool:
    """Return whether a file is a trace and not a video, by its first bytes."""
    try:
        with Path(source).open("rb") as file:
            return is_header(file.read(100).decode("utf-8", "replace"))
    except (OSError, ValueError):
        return False


def open_trace(path: Path) -> StoredTrace:
    """Open a trace. Raises `ConfigError` for a missing file, another format or version."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            first = file.readline()
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}") from exc
    if not is_header(first):
        raise ConfigError(f"{path}: is no trace; make one with `gesture-agent record --out {path.name}`")
    try:
        return StoredTrace(path, read_header(first))
    except ValueError as exc:
        raise ConfigError(f"{path}:1: {exc}; record it again") from exc
