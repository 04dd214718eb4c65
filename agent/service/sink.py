"""Log output that never blocks for long: a full, closed or stuck stream only loses lines."""

from __future__ import annotations

import contextlib
import os
import select
import stat
import threading
import time
from typing import TextIO

PATIENCE_S = 0.2  # seconds to wait for a stuck reader; the loop waits too
PIECE_BYTES = select.PIPE_BUF  # bytes that a ready pipe takes without blocking (pipe(7))


class LostLines:
    """Thread-safe counters of lost log lines and notifications."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.lines = 0  # log lines
        self.notifications = 0  # notifications to systemd

    def line(self) -> None:
        """Count a lost log line."""
        with self._lock:
            self.lines += 1

    def notification(self) -> None:
        """Count a lost notification to systemd."""
        with self._lock:
            self.notifications += 1


LOST = LostLines()  # the process has one log and one systemd


class Sink:
    """Writes whole lines to a text stream; never raises, and never waits for a reader longer than 0.2 s.

    A full disk, a closed pipe or a stuck reader lose lines, which `lost` counts. Nothing is buffered for
    later: old lines are worth less than memory.
    """

    def __init__(self, stream: TextIO, lost: LostLines = LOST) -> None:
        self._stream, self._lost = stream, lost
        self._lock = threading.Lock()
        self._handle = _handle(stream)
        self._waits = self._handle is not None and not stat.S_ISREG(os.fstat(self._handle).st_mode)
        self._torn = False  # the last line was cut off

    def write(self, text: str) -> int:
        """Write lines; return the number of characters, all of which count as written."""
        if text:
            try:
                self._put(text)
            except Exception:  # noqa: BLE001 (whatever a stream raises: a log must not stop the program)
                self._lost.line()
        return len(text)

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        with contextlib.suppress(OSError, ValueError):
            return self._stream.isatty()
        return False

    def fileno(self) -> int:
        """File descriptor of the stream, as `logging` and others ask for it."""
        return self._stream.fileno()

    def _put(self, text: str) -> None:
        if self._handle is None:
            self._stream.write(text)
            self._stream.flush()
            return
        whole = text.encode("utf-8", "backslashreplace")
        with self._lock:
            data = memoryview(b"\n" + whole if self._torn else whole)
            ends = time.monotonic() + PATIENCE_S
            while data:
                if self._waits and not self._writable(self._handle, ends):
                    raise BlockingIOError("the reader of the log stands still")
                written = os.write(self._handle, data[:PIECE_BYTES] if self._waits else data)
                data = data[written:]
                self._torn = bool(data)

    @staticmethod
    def _writable(handle: int, ends: float) -> bool:
        poll = select.poll()  # select() is limited to descriptors below 1024
        poll.register(handle, select.POLLOUT)
        return bool(poll.poll(max(0.0, ends - time.monotonic()) * 1000))


def _handle(stream: TextIO) -> int | None:
    """Descriptor of the stream, None for one in memory. Flushes earlier output first."""
    try:
        stream.flush()
        return stream.fileno()
    except (OSError, ValueError):
        return None
