"""Rate limiting by token bucket. Pure; the caller passes the time."""

from __future__ import annotations


class Pace:
    """Token bucket: allows `burst` events at once, then one every `every_s` seconds."""

    def __init__(self, burst: int, every_s: float) -> None:
        self._burst, self._every_s = burst, every_s
        self._tokens = float(burst)
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Take a token; True where one was available. `now` is monotonic, in seconds."""
        if self._at is not None:
            earned = max(0.0, now - self._at) / self._every_s
            self._tokens = min(float(self._burst), self._tokens + earned)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
