"""Rate limit for token attempts: a leaky bucket for each address. Pure but for its clock."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

FREE = 5  # wrong tokens in a row
REFILL_S = 10.0  # seconds for one more attempt
SHUT = 30  # level from which connections are closed unread
MAX_LEVEL = 36  # a client is unblocked a minute or two after its last attempt
MAX_VISITORS = 1024  # addresses that are remembered; the least recent are dropped


class Attempts:
    """Counts failed token attempts by client and decides who may try."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()  # client: level, and when

    def wait_s(self, visitor: str) -> float:
        """Return the seconds until the client may try a token again; 0: now."""
        level = self._level(visitor)
        return 0.0 if level <= FREE - 1 else (level - FREE + 1) * REFILL_S

    def shut_out(self, visitor: str) -> bool:
        """Return whether the client failed so often that its connections are closed unread."""
        return self._level(visitor) >= SHUT

    def failed(self, visitor: str) -> float:
        """Note a wrong token, or any token while the client had to wait.

        Return its level (1.0: the first).
        """
        level = min(self._level(visitor) + 1.0, MAX_LEVEL)
        self._levels[visitor] = level, self._clock()
        self._levels.move_to_end(visitor)
        if len(self._levels) > MAX_VISITORS:
            self._levels.popitem(last=False)
        return level

    def _level(self, visitor: str) -> float:
        level, at = self._levels.get(visitor, (0.0, 0.0))
        return max(0.0, level - (self._clock() - at) / REFILL_S)
