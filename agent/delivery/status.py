"""How delivery fares, at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """Counters run since the outbox's file was begun."""

    connected: bool
    broker: str
    mqtt_version: str
    trouble: str | None  # with the broker
    reconnects: int
    conflict: str | None  # host of another agent that wants our id
    max_packet: int | None  # bytes that the broker takes; None: it sets no limit
    left_out: Mapping[str, str]  # topics that are not published or not heard, and why: the first few
    left_out_count: int  # how many there are
    unusable: int  # messages that came in and could not be used
    depth: int
    queue_bytes: int
    oldest_s: float
    dead: int
    committed: int
    delivered: int
    expired: int  # never sent, or never done
    unknown: int  # sent, and nobody said by the deadline that it arrived
    refused: int
    no_subscriber: int
    dropped: int
    outbox_trouble: str | None

    def as_health(self) -> dict[str, Any]:
        """The parts `outbox` and `mqtt` of `bridge/health`."""
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
