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
        before, self._seen = self._seen, {}  # who is not there any more, as the reader of a camera, is well
        for name, count in self._counters().items():
            was = before.get(name)
            self._seen[name] = was if was is not None and was[0] == count else (count, now)
        return {name: now - moved_at for name, (_, moved_at) in self._seen.items()}

    def stalled(self) -> list[str]:
        """Return the parts without progress, in words; empty in normal operation."""
        return [
            f"{name}: no progress for {still_s:.0f} s"
            for name, still_s in self.check().items()
            if still_s > STALLED_S
        ]
