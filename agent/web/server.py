"""HTTP server in a thread with its own event loop."""

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
from agent.web.limits.protocol import ConnectionPolicy, protocols

MAX_WORD_BYTES = 1024  # bytes of a WebSocket message from a client; clients send next to nothing
SEND_BUFFER_BYTES = 65_536  # bytes per connection: keeps the data on its way to a browser at most seconds old
PING_S = 10.0
CLOSE_S = 2.0
MOVE_S = 1.0  # seconds between progress reports of the thread

log = structlog.get_logger(__name__)


def bind(settings: WebSettings, send_s: float = SEND_S) -> socket.socket:
    """Open a listening socket; clients that read nothing for twice `send_s` are disconnected.

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
        # Inherited by connections: small kernel buffers, and a timeout for clients that never read.
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
    """Serves an ASGI app. The coroutine `beside` runs in the same event loop, from start to end."""

    def __init__(
        self,
        app: ASGIApp,
        policy: ConnectionPolicy,
        beside: Callable[[], Awaitable[None]],
        threads: Threads | None = None,
    ) -> None:
        self.policy = policy
        self._beside = beside
        http, websocket = protocols(policy)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=http,
                ws=websocket,
                lifespan="off",
                log_config=None,
                log_level="critical",  # client errors are counted and logged by `Refusals`
                headers=list(policy.headers.items()),
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws_max_size=MAX_WORD_BYTES,
                ws_ping_interval=PING_S,
                ws_ping_timeout=PING_S,
                ws_per_message_deflate=False,  # small messages, low latency
                timeout_graceful_shutdown=1,
            )
        )
        self._listener: socket.socket | None = None
        self._thread = (threads or Threads()).thread("web", self._run)

    @property
    def connections(self) -> int:
        """Number of open connections, also of dropped clients that have not closed yet."""
        return len(self._server.server_state.connections)

    def start(self, listener: socket.socket) -> None:
        """Serve on the socket and return at once: the kernel queues clients before the first accept."""
        self._listener = listener
        self._thread.start()

    def close(self) -> None:
        """Disconnect all clients and stop; takes seconds at most."""
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
        """Heartbeat while the event loop runs."""
        while True:
            self._thread.moves()
            await asyncio.sleep(MOVE_S)
