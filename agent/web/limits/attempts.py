"""How often a visitor may try tokens: a bucket for each address that leaks slowly. Pure but for its clock."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

FREE = 5  # wrong tokens in a row
REFILL_S = 10.0  # and one more each time this has passed
SHUT = 30  # who goes on all the same is not even listened to
MAX_LEVEL = 36  # so that it is over a minute or two after the last try
MAX_VISITORS = 1024  # remembered; the longest quiet go first


class Attempts:
    """Feed it what was wrong; ask it who may try."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()  # visitor: level, then when

    def wait_s(self, visitor: str) -> float:
        """Seconds until the visitor may try a token again; 0: now."""
        level = self._level(visitor)
        return 0.0 if level <= FREE - 1 else (level - FREE + 1) * REFILL_S

    def shut_out(self, visitor: str) -> bool:
        """Whether it went on for so long that its connections are closed unread."""
        return self._level(visitor) >= SHUT

    def failed(self, visitor: str) -> float:
        """It gave a wrong token, or any while it had to wait. Its level: 1.0 is the first."""
        level = min(self._level(visitor) + 1.0, MAX_LEVEL)
        self._levels[visitor] = level, self._clock()
        self._levels.move_to_end(visitor)
        if len(self._levels) > MAX_VISITORS:
            self._levels.popitem(last=False)
        return level

    def _level(self, visitor: str) -> float:
        level, at = self._levels.get(visitor, (0.0, 0.0))
        return max(0.0, level - (self._clock() - at) / REFILL_S)
