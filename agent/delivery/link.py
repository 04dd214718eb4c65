"""Messages and protocol between the outbox and the MQTT connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from agent.delivery.message import Message


@dataclass(frozen=True, slots=True)
class LinkUp:
    """Connection is up: the broker acknowledged the birth message. `generation` numbers the connections."""

    generation: int
    window: int  # messages that may be in flight
    max_packet: int | None  # bytes; None: the broker set no limit


@dataclass(frozen=True, slots=True)
class LinkDown:
    """Connection is lost, with everything that was in flight on it."""

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ack:
    """PUBACK of a message; `code` is the MQTT 5 reason (0 fine, 16 nobody subscribed, >= 128 refused)."""

    generation: int
    mid: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class ProbeAnswered:
    """Sign of life: the broker has answered a probe."""

    generation: int


LinkEvent: TypeAlias = LinkUp | LinkDown | Ack | ProbeAnswered


class Link(Protocol):
    """MQTT connection as the outbox uses it."""

    def publish(self, message: Message, generation: int | None = None) -> int | None:
        """Publish a message; return its mid, None when that connection is gone.

        Raises `ValueError` for a bad topic.
        """

    def probe(self, generation: int) -> None:
        """Ask whether the broker responds; it is reported as `ProbeAnswered`."""

    def abort(self, generation: int, reason: str) -> None:
        """Cut that connection, discarding what is in its buffers."""
