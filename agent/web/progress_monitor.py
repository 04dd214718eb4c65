"""Progress check of the agent's threads for `/healthz`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

STALLED_S = 10.0  # half of the service's WatchdogSec: reported before systemd acts


class ProgressMonitor:
    """Compares progress counters over time. Call `check` regularly."""

    def __init__(self, counters: Callable[[], Mapping[str, int]], clock: Callable[[], float]) -> None:
        self._counters, self._clock = counters, clock
        self._seen: dict[str, tuple[int, float]] = {}

    def check(self) -> dict[str, float]:
        """Return the seconds since each counter last changed."""
        now = self._clock()
        for name, count in self._counters().items():
            if name not in self._seen or count != self._seen[name][0]:
                self._seen[name] = (count, now)
        return {name: now - moved_at for name, (_, moved_at) in self._seen.items()}

    def stalled(self) -> list[str]:
        """Return the parts without progress, in words; empty in normal operation."""
        return [
            f"{name}: no progress for {still_s:.0f} s"
            for name, still_s in self.check().items()
            if still_s > STALLED_S
        ]
