"""Detection of memory growth: two quiet phases compared, and the trend of the second half.

Single readings of memory fluctuate. Compared are medians of many, and the trend is the Theil-Sen
estimator, the median of the slopes between all pairs of readings, which is robust against bursts.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
from process import Sample

MEMORY_GROWTH = 0.05  # from the first quiet phase to the second, as a share; allocators fluctuate
MEMORY_TREND = 0.01  # over the second half, as a share: 0.2 MB a minute in half an hour at 300 MB
TREND_FROM_S = 600.0  # a shorter soak is still warming up in its second half
MOST_PAIRS = 400  # readings to pair: 80,000 slopes


def second_half(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Return the second half of the samples by time."""
    middle_s = (samples[0].at_s + samples[-1].at_s) / 2
    return [sample for sample in samples if sample.at_s >= middle_s]


def trend_mb_min(samples: Sequence[Sample]) -> float:
    """Return the memory trend in MB a minute (Theil 1950, Sen 1968)."""
    some = samples[:: max(1, len(samples) // MOST_PAIRS)]
    at = np.array([sample.at_s / 60 for sample in some])
    mb = np.array([sample.rss_mb for sample in some])
    one, other = np.triu_indices(len(some), 1)
    return float(np.median((mb[other] - mb[one]) / (at[other] - at[one])))


def growth(peace: Sequence[Sample], peace_again: Sequence[Sample], samples: Sequence[Sample]) -> list[str]:
    """Return in words what grew; empty when nothing did. `samples` are all of them."""
    before, after = _median(peace, "rss_mb"), _median(peace_again, "rss_mb")
    grew = []
    if after > before * (1 + MEMORY_GROWTH):
        grew.append(f"memory by {after / before - 1:.1%}")
    half = second_half(samples)
    minutes = (half[-1].at_s - half[0].at_s) / 60
    trend = trend_mb_min(half)
    if samples[-1].at_s >= TREND_FROM_S and trend * minutes > before * MEMORY_TREND:
        grew.append(f"memory by {trend:.2f} MB a minute in the second half")
    for what, name in (("threads", "threads"), ("fds", "file descriptors"), ("children", "children")):
        more = _median(peace_again, what) - _median(peace, what)
        if more > 0:
            grew.append(f"{name} by {more:g}")
    return grew


def _median(samples: Sequence[Sample], what: str) -> float:
    return statistics.median(getattr(sample, what) for sample in samples)
