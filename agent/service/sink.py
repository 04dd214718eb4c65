"""Where log lines go: a stream that may be full, gone or stuck, which costs lines and nothing else."""

from __future__ import annotations

import contextlib
import os
import select
import stat
import threading
import time
from typing import TextIO

PATIENCE_S = 0.2  # for a reader that has stopped reading; the loop waits with us
PIECE_BYTES = select.PIPE_BUF  # a pipe that is ready takes this much without blocking (pipe(7))


class Lost:
    """Counts what could not be told, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.lines = 0  # of the log
        self.notifications = 0  # to systemd

    def line(self) -> None:
        """A line of the log is lost."""
        with self._lock:
            self.lines += 1

    def notification(self) -> None:
        """Systemd did not hear something."""
        with self._lock:
            self.notifications += 1


LOST = Lost()  # the process has one log and one systemd


class Sink:
    """Writes whole lines to a text stream; never raises, and never waits for a reader longer than 0.2 s.

    A full disk, a pipe whose reader is gone and a reader that stands still cost lines, which `lost`
    counts. Nothing is kept for later: old lines are worth less than memory.
    """

    def __init__(self, stream: TextIO, lost: Lost = LOST) -> None:
        self._stream, self._lost = stream, lost
        self._lock = threading.Lock()
        self._handle = _handle(stream)
        self._waits = self._handle is not None and not stat.S_ISREG(os.fstat(self._handle).st_mode)
        self._torn = False  # the last line was cut in the middle

    def write(self, text: str) -> int:
        """Some lines; how many characters were taken, which is all of them."""
        if text:
            try:
                self._put(text)
            except Exception:  # noqa: BLE001 (whatever a stream raises: a log must not end what it tells of)
                self._lost.line()
        return len(text)

    def flush(self) -> None:
        """Nothing waits here."""

    def isatty(self) -> bool:
        """Whether a person reads along."""
        with contextlib.suppress(OSError, ValueError):
            return self._stream.isatty()
        return False

    def fileno(self) -> int:
        """Of the stream, as `logging` and others ask for it."""
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
        poll = select.poll()  # select() knows no descriptor above 1023
        poll.register(handle, select.POLLOUT)
        return bool(poll.poll(max(0.0, ends - time.monotonic()) * 1000))


def _handle(stream: TextIO) -> int | None:
    """The descriptor behind it, None for a stream in memory. What was printed before stays in front."""
    try:
        stream.flush()
        return stream.fileno()
    except (OSError, ValueError):
        return None
