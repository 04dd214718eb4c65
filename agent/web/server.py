"""The web server: one thread, one event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import structlog
import uvicorn
from starlette.types import ASGIApp

from agent.config.settings import WebSettings
from agent.errors import ConfigError
from agent.supervision import Threads
from agent.web.broadcaster import SEND_S
from agent.web.limits.protocol import Door, protocols

MAX_WORD_BYTES = 1024  # of what a client says on a WebSocket; it has nothing to say
SEND_BUFFER_BYTES = 65_536  # per connection: what is on its way to a browser is seconds old at most
PING_S = 10.0
CLOSE_S = 2.0
MOVE_S = 1.0  # how often the thread says that it makes progress

log = structlog.get_logger(__name__)


def bind(settings: WebSettings, send_s: float = SEND_S) -> socket.socket:
    """A listening socket; whoever takes nothing for twice `send_s` is cut off.

    Raises `ConfigError` that says which setting to change.
    """
    where = f"web.host {settings.host}, web.port {settings.port}"
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, proto)
    except OSError as exc:
        raise ConfigError(f"{where}: {exc.strerror}; set web.host to an address of this machine") from exc
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit these: little waits in the kernel, and who never reads is cut off by it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(2 * send_s * 1000))
        listener.bind(address)
        listener.listen(64)
    except OSError as exc:
        listener.close()
        raise ConfigError(
            f"{where}: {exc.strerror}; is another agent running? Set web.port to a free one"
        ) from exc
    listener.setblocking(False)
    return listener


class Server:
    """Serves an app beside the agent. `beside` runs in the same event loop, from start to end."""

    def __init__(
        self,
        app: ASGIApp,
        door: Door,
        beside: Callable[[], Awaitable[None]],
        threads: Threads | None = None,
    ) -> None:
        self.door = door
        self._beside = beside
        http, websocket = protocols(door)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=http,
                ws=websocket,
                lifespan="off",
                log_config=None,
                log_level="critical",  # what visitors do wrong is ours to count and tell: Refusals
                headers=list(door.headers.items()),
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws_max_size=MAX_WORD_BYTES,
                ws_ping_interval=PING_S,
                ws_ping_timeout=PING_S,
                ws_per_message_deflate=False,  # small messages, and time is what matters
                timeout_graceful_shutdown=1,
            )
        )
        self._listener: socket.socket | None = None
        self._thread = (threads or Threads()).thread("web", self._run)

    @property
    def connections(self) -> int:
        """Open ones, also those of clients that were given up and have not gone yet."""
        return len(self._server.server_state.connections)

    def start(self, listener: socket.socket) -> None:
        """Serve on it; returns at once: the kernel queues who comes before the first accept."""
        self._listener = listener
        self._thread.start()

    def close(self) -> None:
        """Say goodbye to everybody; takes seconds at most."""
        self._server.should_exit = True
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        assert self._listener is not None  # noqa: S101 (set by start)
        beside = asyncio.ensure_future(self._beside())
        serving = asyncio.ensure_future(self._server.serve(sockets=[self._listener]))
        moving = asyncio.ensure_future(self._move())
        done, _ = await asyncio.wait((beside, serving), return_when=asyncio.FIRST_COMPLETED)
        beside.cancel()
        moving.cancel()
        self._server.should_exit = True
        await asyncio.wait((serving,))
        for task in done:
            task.result()

    async def _move(self) -> None:
        """As long as the event loop turns."""
        while True:
            self._thread.moves()
            await asyncio.sleep(MOVE_S)
