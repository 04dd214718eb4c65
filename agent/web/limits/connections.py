"""Places for connections: who shows a token has some of their own, health checks and metrics too.

Whoever comes is a stranger until a request with the token has come. Places are few, but nobody can hold
one by doing nothing: for a new connection the idle one that waited longest is closed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["stranger", "visitor", "monitor"]

LIMITS: dict[Kind, int] = {"stranger": 48, "visitor": 96, "monitor": 16}
STRANGERS_OF_ONE = 16  # connections of one address that have not shown the token; a browser opens six


@dataclass(slots=True, eq=False)
class OpenConnection:
    """One connection."""

    visitor: str
    close: Callable[[], None]
    move: Callable[[Kind], bool]  # its request has shown what it is; False: there is no place of that kind
    kind: Kind = "stranger"
    busy: bool = False  # a request of it is being answered


class Places:
    """All connections, oldest first."""

    def __init__(self) -> None:
        self._places: dict[OpenConnection, None] = {}  # a set that keeps the order

    def __len__(self) -> int:
        return len(self._places)

    def count(self, kind: Kind) -> int:
        """How many there are of a kind."""
        return sum(place.kind == kind for place in self._places)

    def take(self, visitor: str, close: Callable[[], None]) -> OpenConnection | None:
        """A place for a new connection, None where there is none. `close` must not call back."""
        place = OpenConnection(visitor, close, lambda kind: self._move(place, kind))
        of_one = [p for p in self._places if p.kind == "stranger" and p.visitor == visitor]
        if len(of_one) >= STRANGERS_OF_ONE and not self._give_up(of_one):
            return None
        if not self._room_for("stranger"):
            return None
        self._places[place] = None
        return place

    def leave(self, place: OpenConnection) -> None:
        """It is closed, or became a stream."""
        self._places.pop(place, None)

    def _move(self, place: OpenConnection, kind: Kind) -> bool:
        if place.kind == kind or place not in self._places:
            return True
        if not self._room_for(kind):
            return False
        place.kind = kind
        return True

    def _room_for(self, kind: Kind) -> bool:
        own = [place for place in self._places if place.kind == kind]
        return len(own) < LIMITS[kind] or self._give_up(own)

    def _give_up(self, places: list[OpenConnection]) -> bool:
        """Close the oldest that is idle; False where none is."""
        idle = next((place for place in places if not place.busy), None)
        if idle is None:
            return False
        self.leave(idle)
        idle.close()
        return True
