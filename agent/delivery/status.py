"""Snapshot of the delivery status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """Status of delivery; counters run since the outbox file was created."""

    connected: bool
    broker: str
    mqtt_version: str
    trouble: str | None  # connected to the broker
    reconnects: int
    conflict: str | None  # host of another agent with our id
    max_packet: int | None  # packet limit of the broker in bytes; None: no limit
    left_out: Mapping[str, str]  # topics that are not published or not subscribed, and why: the first few
    left_out_count: int  # number of such topics
    unusable: int  # received messages that could not be used
    depth: int
    queue_bytes: int
    oldest_s: float
    dead: int
    committed: int
    delivered: int
    expired: int  # never sent, or never performed
    unknown: int  # sent without an acknowledgement before the deadline
    refused: int
    no_subscriber: int
    dropped: int
    outbox_trouble: str | None

    def as_health(self) -> dict[str, Any]:
        """Return the keys `outbox` and `mqtt` of `bridge/health`."""
        return {
            "outbox": {
                "depth": self.depth,
                "oldest_s": self.oldest_s,
                "expired": self.expired,
                "unknown": self.unknown,
                "refused": self.refused,
                "unheard": self.no_subscriber,
                "dropped": self.dropped,
                "dead": self.dead,
                "trouble": self.outbox_trouble,
            },
            "mqtt": {
                "reconnects": self.reconnects,
                "version": self.mqtt_version,
                "rival": self.conflict,
                "max_packet": self.max_packet,
                "left_out": dict(self.left_out),
                "left_out_count": self.left_out_count,
                "unusable": self.unusable,
            },
        }
