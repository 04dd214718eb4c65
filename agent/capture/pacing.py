"""Playback timing of files: real time, or as fast as possible."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.capture.source import Clock

MAX_LATE_S = 0.5  # a reader later than this shifts the schedule instead of catching up


class Pacing:
    """Converts times within a file to the `at` of frames, and waits until each is due.

    With `pace=False` it never waits, and `at` is the time within the file.
    """

    def __init__(self, clock: Clock, *, pace: bool) -> None:
        self._clock = clock
        self._pace = pace
        self._start: float | None = None
        self._interrupted = threading.Event()

    def restart(self) -> None:
        """Restart the schedule at the next frame, because the file starts over."""
        self._start = None
        self._interrupted.clear()

    def due(self, time_s: float) -> float:
        """Wait until the frame at `time_s` of the file is due and return its `at`, both in seconds."""
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
        """End the wait, from any thread."""
        self._interrupted.set()
