"""Fan-out to WebSocket clients with bounded queues; slow clients are disconnected."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agent.web.messages import WebMessage

MAX_CLIENTS = 32
MAX_WAITING = 256  # messages; progress counts once
SEND_S = 5.0  # seconds to send one message; then the client counts as gone


@dataclass(slots=True)
class BroadcasterCounters:
    """Counters of the broadcaster since the start."""

    served: int = 0
    dropped: int = 0  # disconnected because they read too slowly
    refused: int = 0  # refused because too many were connected


class TooSlow(Exception):  # noqa: N818 (a verdict on the client)
    """Raised when a client did not read its messages in time."""


class Client:
    """One WebSocket client and its queue."""

    def __init__(self, *, page: bool, max_waiting: int = MAX_WAITING) -> None:
        self._page, self._max = page, max_waiting
        self._order: deque[str | WebMessage] = deque()  # a message, or the slot whose newest message is below
        self._newest: dict[str, str] = {}
        self._update = asyncio.Event()
        self._lost = False

    def offer(self, message: WebMessage) -> None:
        """Queue a message if it is for this client.

        Never blocks; a full queue marks the client as too slow.
        """
        if self._lost or (message.page_only and not self._page):
            return
        if message.slot is not None:
            if message.slot not in self._newest:
                self._order.append(message.slot)
            self._newest[message.slot] = message.text
        elif len(self._order) >= self._max:
            self._lost = True
        else:
            self._order.append(message)
        self._update.set()

    async def next_text(self) -> str:
        """Wait for the next message. Raises `TooSlow`."""
        while not self._order and not self._lost:
            self._update.clear()
            await self._update.wait()
        if self._lost:
            raise TooSlow
        first = self._order.popleft()
        return first.text if isinstance(first, WebMessage) else self._newest.pop(first)

    async def pump(self, send: Callable[[str], Awaitable[None]], send_s: float = SEND_S) -> None:
        """Send queued messages until cancelled. Raises `TooSlow`, and what `send` raises."""
        while True:
            text = await self.next_text()
            try:
                await asyncio.wait_for(send(text), send_s)
            except asyncio.TimeoutError as exc:  # another class than TimeoutError in Python 3.10
                raise TooSlow from exc


class Broadcaster:
    """Set of connected clients."""

    def __init__(self) -> None:
        self.counters = BroadcasterCounters()
        self._clients: set[Client] = set()

    def __len__(self) -> int:
        return len(self._clients)

    @property
    def full(self) -> bool:
        """Whether the maximum number of clients is connected."""
        return len(self._clients) >= MAX_CLIENTS

    def join(self, client: Client) -> None:
        """Add a client, which receives all messages from now on."""
        self._clients.add(client)
        self.counters.served += 1

    def leave(self, client: Client) -> None:
        """Remove a client."""
        self._clients.discard(client)

    def broadcast(self, message: WebMessage) -> None:
        """Queue a message for all clients, without waiting."""
        for client in self._clients:
            client.offer(message)
