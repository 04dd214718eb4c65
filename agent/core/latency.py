"""Latency percentiles over a sliding window of measurements."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile (`share` is 0..1) of a sorted sequence; 0 for an empty one."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class LatencyWindow:
    """Sliding window of the last `size` measurements, in ms."""

    def __init__(self, size: int = 512) -> None:
        self._ms: deque[float] = deque(maxlen=size)

    def add(self, ms: float) -> None:
        """Add a measurement in ms; the oldest is dropped when the window is full."""
        self._ms.append(ms)

    def summary(self) -> dict[str, float]:
        """Return `p50`, `p95` and `p99` in ms, rounded to 0.1; empty without measurements."""
        ordered = sorted(self._ms)
        if not ordered:
            return {}
        return {f"p{p}": round(percentile(ordered, p / 100), 1) for p in (50, 95, 99)}
