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
