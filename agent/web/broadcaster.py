"""Who listens, and how much may wait for each: a slow browser loses its place, nobody waits for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agent.web.messages import WebMessage

MAX_CLIENTS = 32
MAX_WAITING = 256  # messages; progress counts once
SEND_S = 5.0  # a message that is not taken off our hands within this time: nobody reads


@dataclass(slots=True)
class BroadcasterCounters:
    """Since the start."""

    served: int = 0
    dropped: int = 0  # read too slowly, or not at all
    refused: int = 0  # too many at once


class TooSlow(Exception):  # noqa: N818 (a verdict on the client)
    """The client did not keep up."""


class Client:
    """One listener: what waits for it, in order."""

    def __init__(self, *, page: bool, max_waiting: int = MAX_WAITING) -> None:
        self._page, self._max = page, max_waiting
        self._order: deque[str | WebMessage] = deque()  # a message, or the slot whose newest stands below
        self._newest: dict[str, str] = {}
        self._update = asyncio.Event()
        self._lost = False

    def offer(self, message: WebMessage) -> None:
        """Queue it, unless it is not for this one. Never blocks; who is too far behind is given up."""
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
        """The next message. Raises `TooSlow`."""
        while not self._order and not self._lost:
            self._update.clear()
            await self._update.wait()
        if self._lost:
            raise TooSlow
        first = self._order.popleft()
        return first.text if isinstance(first, WebMessage) else self._newest.pop(first)

    async def pump(self, send: Callable[[str], Awaitable[None]], send_s: float = SEND_S) -> None:
        """Send what comes, for ever. Raises `TooSlow`, and what `send` raises."""
        while True:
            text = await self.next_text()
            try:
                await asyncio.wait_for(send(text), send_s)
            except asyncio.TimeoutError as exc:  # another class than TimeoutError in Python 3.10
                raise TooSlow from exc


class Broadcaster:
    """All listeners."""

    def __init__(self) -> None:
        self.counters = BroadcasterCounters()
        self._clients: set[Client] = set()

    def __len__(self) -> int:
        return len(self._clients)

    @property
    def full(self) -> bool:
        """Whether another one must be turned away."""
        return len(self._clients) >= MAX_CLIENTS

    def join(self, client: Client) -> None:
        """It hears everything from now on."""
        self._clients.add(client)
        self.counters.served += 1

    def leave(self, client: Client) -> None:
        """It is gone."""
        self._clients.discard(client)

    def broadcast(self, message: WebMessage) -> None:
        """To everybody, without waiting for anybody."""
        for client in self._clients:
            client.offer(message)
