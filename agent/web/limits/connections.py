"""Connection limits, with separate budgets for authenticated clients, health checks and metrics.

A connection counts as unauthenticated until a request with the token has come. A new connection at the
limit closes the one that has been idle longest, so that idle connections cannot block others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["stranger", "visitor", "monitor"]

LIMITS: dict[Kind, int] = {"stranger": 48, "visitor": 96, "monitor": 16}
UNAUTHENTICATED_OF_ONE = 16  # unauthenticated connections of one address; a browser opens six


@dataclass(slots=True, eq=False)
class OpenConnection:
    """One open HTTP connection."""

    visitor: str
    close: Callable[[], None]
    move: Callable[[Kind], bool]  # set when its request shows its kind; False: no slot of that kind is free
    kind: Kind = "stranger"
    busy: bool = False  # a request is being answered


class ConnectionLimits:
    """All open connections with their limits, oldest first."""

    def __init__(self) -> None:
        self._open: dict[OpenConnection, None] = {}  # used as an ordered set

    def __len__(self) -> int:
        return len(self._open)

    def count(self, kind: Kind) -> int:
        """Return the number of connections of a kind."""
        return sum(connection.kind == kind for connection in self._open)

    def take(self, visitor: str, close: Callable[[], None]) -> OpenConnection | None:
        """Add a connection, or return None at the limit. `close` must not call back."""
        connection = OpenConnection(visitor, close, lambda kind: self._move(connection, kind))
        of_one = [p for p in self._open if p.kind == "stranger" and p.visitor == visitor]
        if len(of_one) >= UNAUTHENTICATED_OF_ONE and not self._give_up(of_one):
            return None
        if not self._room_for("stranger"):
            return None
        self._open[connection] = None
        return connection

    def leave(self, connection: OpenConnection) -> None:
        """Remove a connection that was closed or became a WebSocket."""
        self._open.pop(connection, None)

    def _move(self, connection: OpenConnection, kind: Kind) -> bool:
        if connection.kind == kind or connection not in self._open:
            return True
        if not self._room_for(kind):
            return False
        connection.kind = kind
        return True

    def _room_for(self, kind: Kind) -> bool:
        own = [connection for connection in self._open if connection.kind == kind]
        return len(own) < LIMITS[kind] or self._give_up(own)

    def _give_up(self, connections: list[OpenConnection]) -> bool:
        """Close the connection that has been idle longest; False if none is idle."""
        idle = next((connection for connection in connections if not connection.busy), None)
        if idle is None:
            return False
        self.leave(idle)
        idle.close()
        return True
