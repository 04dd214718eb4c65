"""95 % confidence intervals of counts and shares."""

from __future__ import annotations

import math
from collections.abc import Callable

HALF = 0.025  # probability outside the interval at each end
NORMAL = 1.959964  # quantile of the normal distribution: 95 % lie within this many standard deviations
FINE = 1e-9


def poisson(count: int) -> tuple[float, float]:
    """Return the 95 % interval of the mean of a Poisson count (exact: Garwood 1936)."""
    low = 0.0 if count == 0 else _solve(lambda mean: 1 - _at_most(count - 1, mean) - HALF, float(count))
    return low, _solve(lambda mean: HALF - _at_most(count, mean), 4.0 * count + 10)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of the share `hits` / `of` (Wilson 1927); (0, 1) where `of` is 0."""
    if not of:
        return 0.0, 1.0
    share, z2 = hits / of, NORMAL**2
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = NORMAL * math.sqrt(share * (1 - share) / of + z2 / (4 * of**2)) / (1 + z2 / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def _at_most(count: int, mean: float) -> float:
    """Probability of `count` or fewer events where `mean` are expected."""
    logs = (i * math.log(mean) - mean - math.lgamma(i + 1) for i in range(count + 1))
    return sum(map(math.exp, logs)) if mean > 0 else 1.0


def _solve(rising: Callable[[float], float], high: float) -> float:
    """Root of an increasing function between 0 and `high`, by bisection."""
    low = 0.0
    while high - low > FINE * max(1.0, high):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2
