"""Outcome of a delivery, and the backoff between retries."""

from __future__ import annotations

from dataclasses import dataclass

from agent.delivery.outbox.outbox import Row


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """Outcome of a row: delivered (perhaps without a subscriber), or refused and why."""

    row: Row
    delivered: bool
    reason: str = ""
    no_subscriber: bool = False


@dataclass(frozen=True, slots=True)
class RetryBackoff:
    """Exponential backoff that doubles from `first_s` to `last_s` seconds."""

    first_s: float
    last_s: float

    def after(self, tries: int) -> float:
        """Return the seconds to wait after that many tries (1 is the first)."""
        return min(self.last_s, self.first_s * 2.0 ** min(tries - 1, 30))
