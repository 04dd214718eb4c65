"""How often something may happen: a token bucket. Pure; the caller brings the time."""

from __future__ import annotations


class Pace:
    """Lets `burst` through at once, then one every `every_s` seconds; unused turns add up to `burst`."""

    def __init__(self, burst: int, every_s: float) -> None:
        self._burst, self._every_s = burst, every_s
        self._tokens = float(burst)
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """True when it may happen now, and then it counts as happened. `now` is monotonic, in seconds."""
        if self._at is not None:
            earned = max(0.0, now - self._at) / self._every_s
            self._tokens = min(float(self._burst), self._tokens + earned)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
