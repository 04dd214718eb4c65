"""How the delivery of one row ended, and how long to wait before another try."""

from __future__ import annotations

from dataclasses import dataclass

from agent.delivery.outbox.outbox import Row


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """Delivered (perhaps with nobody there to hear it), or refused for good and why."""

    row: Row
    delivered: bool
    reason: str = ""
    no_subscriber: bool = False


@dataclass(frozen=True, slots=True)
class RetryBackoff:
    """Doubles from `first_s` to `last_s`."""

    first_s: float
    last_s: float

    def after(self, tries: int) -> float:
        """Seconds to wait after so many tries (1 is the first)."""
        return min(self.last_s, self.first_s * 2.0 ** min(tries - 1, 30))
