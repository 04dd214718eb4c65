"""How the delivery of one row ended."""

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
