"""Exponential backoff of retries."""

from __future__ import annotations

import random

FIRST_S = 0.5
MOST_S = 30.0
GROWTH = 2.0
JITTER = 0.2  # 20 %, so that retries of several cameras are not synchronised


class Backoff:
    """Retry intervals in seconds that double from `first_s` to `most_s`, with jitter."""

    def __init__(
        self, first_s: float = FIRST_S, most_s: float = MOST_S, rng: random.Random | None = None
    ) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._wait_s = first_s
        self._rng = rng or random.Random()  # noqa: S311 (not cryptographic)

    def after(self, tries: int) -> float:
        """Seconds to wait after so many tries, the first is 1: for who counts them itself, by thing."""
        return min(self._most_s, self._first_s * GROWTH ** min(tries - 1, 30))

    def next_s(self) -> float:
        """Return the seconds to wait now; the next interval is longer."""
        wait_s, self._wait_s = self._wait_s, min(self._wait_s * GROWTH, self._most_s)
        return wait_s * self._rng.uniform(1 - JITTER, 1 + JITTER)

    def reset(self) -> None:
        """Start again from the first interval, after a success."""
        self._wait_s = self._first_s
