"""Monotonic times from the timestamps of a recording, even where those are wrong. Pure."""

from __future__ import annotations

import math

LEAST_S = 0.001  # smallest step between images; less is a wrong time base or a repeated timestamp
MOST_S = 2.0  # largest step: a longer gap is shortened, but ends active gestures


class Timeline:
    """Turns timestamps into increasing times from 0; an invalid timestamp counts as one frame interval."""

    def __init__(self, fps: float) -> None:
        self.time_s = 0.0  # of the last image
        self._step_s = 1 / fps
        self._stamp_s: float | None = None
        self._begun = False

    def time_of(self, stamp_s: float | None) -> float:
        """Return the time, in seconds since the first image, of an image with timestamp `stamp_s`."""
        if stamp_s is not None and not math.isfinite(stamp_s):
            stamp_s = None
        if self._begun:
            self.time_s += self._passed(stamp_s)
        self._begun = True
        self._stamp_s = stamp_s
        return self.time_s

    def _passed(self, stamp_s: float | None) -> float:
        if stamp_s is None or self._stamp_s is None or stamp_s - self._stamp_s < LEAST_S:
            return self._step_s
        return min(stamp_s - self._stamp_s, max(MOST_S, self._step_s))
