"""Turns the time stamps of a recording into times that grow, whatever the stamps do. Pure."""

from __future__ import annotations

import math

LEAST_S = 0.001  # between two pictures; less is a wrong time base, or the same stamp again
MOST_S = 2.0  # a longer gap passes as this: pictures go on, and what was shown before has ended


class Timeline:
    """Times from 0. A stamp that jumps back, repeats, is missing or no number counts as one picture on."""

    def __init__(self, fps: float) -> None:
        self.time_s = 0.0  # of the last picture
        self._step_s = 1 / fps
        self._stamp_s: float | None = None
        self._begun = False

    def time_of(self, stamp_s: float | None) -> float:
        """Seconds since the first picture, of the next one."""
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
