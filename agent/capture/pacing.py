"""When a frame of a file is due: at its own time after the start, or at once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.capture.source import Clock

MAX_LATE_S = 0.5  # a reader that is this late does not hurry after the clock: the rest comes later


class Pacing:
    """Turns the time inside a file into the frame's `at`, and waits until it has come.

    With `pace=False` nothing is waited for and `at` is the time inside the file.
    """

    def __init__(self, clock: Clock, *, pace: bool) -> None:
        self._clock = clock
        self._pace = pace
        self._start: float | None = None
        self._interrupted = threading.Event()

    def restart(self) -> None:
        """The file begins from its start, at the next frame."""
        self._start = None
        self._interrupted.clear()

    def due(self, time_s: float) -> float:
        """Wait until the frame at `time_s` of the file is due; its `at`."""
        if not self._pace:
            return time_s
        now = self._clock()
        if self._start is None:
            self._start = now - time_s
        early = self._start + time_s - now
        if early > 0:
            self._interrupted.wait(early)
        elif early < -MAX_LATE_S:
            self._start = now - time_s
        return self._start + time_s

    def interrupt(self) -> None:
        """End the wait; from any thread."""
        self._interrupted.set()
