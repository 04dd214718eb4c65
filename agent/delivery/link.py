"""What the outbox and the MQTT connection say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from agent.delivery.message import Message


@dataclass(frozen=True, slots=True)
class Up:
    """The broker has acknowledged our birth message. `generation` numbers the connections."""

    generation: int
    window: int  # messages that may be in flight
    max_packet: int | None  # bytes; None: the broker set no limit


@dataclass(frozen=True, slots=True)
class Down:
    """That connection is gone, with everything that was in flight on it."""

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
class Alive:
    """The broker has answered a question that only asked whether it is there."""

    generation: int


LinkEvent: TypeAlias = Up | Down | Ack | Alive


class Link(Protocol):
    """What the outbox needs of the connection."""

    def publish(self, message: Message, generation: int | None = None) -> int | None:
        """The mid, None when that connection is gone; `ValueError` for a topic that cannot be."""

    def probe(self, generation: int) -> None:
        """Ask whether the broker of that connection is there; `Alive` is the answer."""

    def abort(self, generation: int, reason: str) -> None:
        """Cut that connection and what lies in its buffers."""
