"""How far a count can be believed: intervals of 95 %."""

from __future__ import annotations

import math
from collections.abc import Callable

HALF = 0.025  # what is left out at each end
NORMAL = 1.959964  # of the normal distribution: 95 % lie within this many standard deviations
FINE = 1e-9


def poisson(count: int) -> tuple[float, float]:
    """The means that a counted number may have come from (exact: Garwood 1936)."""
    low = 0.0 if count == 0 else _solve(lambda mean: 1 - _at_most(count - 1, mean) - HALF, float(count))
    return low, _solve(lambda mean: HALF - _at_most(count, mean), 4.0 * count + 10)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The shares, 0..1, that `hits` out of `of` may have come from (Wilson 1927); (0, 1) of nothing."""
    if not of:
        return 0.0, 1.0
    share, z2 = hits / of, NORMAL**2
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = NORMAL * math.sqrt(share * (1 - share) / of + z2 / (4 * of**2)) / (1 + z2 / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def _at_most(count: int, mean: float) -> float:
    """The probability of `count` or fewer where `mean` are expected."""
    logs = (i * math.log(mean) - mean - math.lgamma(i + 1) for i in range(count + 1))
    return sum(map(math.exp, logs)) if mean > 0 else 1.0


def _solve(rising: Callable[[float], float], high: float) -> float:
    """Where a function that rises passes 0, between 0 and `high`."""
    low = 0.0
    while high - low > FINE * max(1.0, high):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2
