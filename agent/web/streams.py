"""WebSocket endpoints for live updates."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent.web.auth import PROTOCOL
from agent.web.broadcaster import SEND_S, Broadcaster, Client, TooSlow
from agent.web.dashboard import DashboardState
from agent.web.messages import WebMessage, message
from agent.web.preview import Preview, TooManyWatchers, Watcher

TRY_LATER, POLICY = 1013, 1008  # close codes (IANA's registry of WebSocket close codes)

log = structlog.get_logger(__name__)


class Streams:
    """Endpoints of `/ws/kiosk`, `/ws/page` and `/ws/preview/{camera}`."""

    def __init__(
        self,
        broadcaster: Broadcaster,
        dashboard: DashboardState,
        preview: Preview | None,
        send_s: float = SEND_S,
    ) -> None:
        self._broadcaster, self._dashboard, self._preview, self._send_s = (
            broadcaster,
            dashboard,
            preview,
            send_s,
        )

    async def kiosk(self, socket: WebSocket) -> None:
        """Stream for kiosk pages (docs/reference/websocket.md)."""
        await self._serve(socket, page=False)

    async def page(self, socket: WebSocket) -> None:
        """Stream for the dashboard: the kiosk stream and dashboard messages."""
        await self._serve(socket, page=True)

    async def pictures(self, socket: WebSocket) -> None:
        """Preview stream: one picture per client message, and a message when the picture is removed."""
        camera = socket.path_params["camera"]
        if self._preview is None or camera not in self._dashboard.about.cameras:
            await socket.close(POLICY)
            return
        try:
            watcher = self._preview.join(camera)
        except TooManyWatchers:
            self._broadcaster.counters.refused += 1
            await socket.close(TRY_LATER)
            return
        try:
            await _accept(socket)
            await _first(self._show(socket, watcher), _until_gone(socket, watcher.want))
        except asyncio.TimeoutError:  # another class than TimeoutError in Python 3.10
            self._broadcaster.counters.dropped += 1
        except WebSocketDisconnect:
            pass
        finally:
            self._preview.leave(watcher)

    async def _show(self, socket: WebSocket, watcher: Watcher) -> None:
        while True:
            await asyncio.wait_for(socket.send_bytes(await watcher.next()), self._send_s)

    async def _serve(self, socket: WebSocket, *, page: bool) -> None:
        if self._broadcaster.full:
            self._broadcaster.counters.refused += 1
            await socket.close(TRY_LATER)
            return
        await _accept(socket)
        client = Client(page=page)
        client.offer(self._dashboard.hello())
        if page:
            client.offer(_snapshot(self._dashboard))
        self._broadcaster.join(client)
        try:
            await _first(client.pump(socket.send_text, self._send_s), _until_gone(socket))
        except TooSlow:
            self._broadcaster.counters.dropped += 1
            log.warning("web_client_dropped", client=_name(socket), reason="it does not read what it is sent")
        except WebSocketDisconnect:
            pass
        finally:
            self._broadcaster.leave(client)


async def _accept(socket: WebSocket) -> None:
    await socket.accept(PROTOCOL if PROTOCOL in socket.scope.get("subprotocols", ()) else None)


async def _until_gone(socket: WebSocket, said: Callable[[], None] = lambda: None) -> None:
    """Read and ignore client messages until it disconnects."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        said()


async def _first(*jobs: Awaitable[None]) -> None:
    """Run until one of the coroutines ends or raises."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _snapshot(dashboard: DashboardState) -> WebMessage:
    return message("snapshot", dashboard.snapshot(), page=True)


def _name(socket: WebSocket) -> str:
    return f"{socket.client.host}:{socket.client.port}" if socket.client else "unknown"
