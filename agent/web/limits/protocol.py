"""uvicorn's HTTP and WebSocket protocols with connection limits and read timeouts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Response
from websockets.server import ServerProtocol

from agent.web.limits.addresses import is_loopback, visitor_of
from agent.web.limits.attempts import Attempts
from agent.web.limits.connections import ConnectionLimits, OpenConnection
from agent.web.limits.refusals import Refusals

REQUEST_LINE_S = 5.0  # seconds for a request's headers, and until their first byte
PLACE = "gesture_agent.place"  # key of the `OpenConnection` in a scope
BAD_REQUEST = b"this is no HTTP request"


@dataclass(frozen=True, slots=True)
class ConnectionPolicy:
    """Limits and headers that all connections of a server share."""

    connections: ConnectionLimits
    attempts: Attempts
    refusals: Refusals
    headers: Mapping[str, str]  # for every response, also those that no route gives


class _Http(H11Protocol):
    policy: ConnectionPolicy

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._connection: OpenConnection | None = None
        self._due: asyncio.TimerHandle | None = None
        self._begun = False  # some data was received
        self.app = self._placed(self.app)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        visitor = visitor_of(self.client[0] if self.client else "")
        policy = self.policy
        if policy.attempts.shut_out(visitor) and not is_loopback(visitor):
            transport.abort()
            return
        self._connection = policy.connections.take(visitor, transport.abort)
        if self._connection is None:
            policy.refusals.note("connections", address=visitor)
            transport.abort()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self._connection is None:
            return
        self._begun = True
        if self._due is None and not self._connection.busy:
            self._wait()
        try:
            super().data_received(data)
        except Exception:  # noqa: BLE001 (top level of a connection; logged with its traceback)
            _give_up(self.policy, self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        if self._connection is not None:
            self._connection.busy = False
        super().on_response_complete()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._leave()  # streams have limits of their own: `Broadcaster` and `Preview`
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        self.policy.refusals.note("malformed", address=self.client[0] if self.client else "", problem=msg)
        headers = {"content-type": "text/plain", "connection": "close", **self.policy.headers}
        pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        for part in (
            h11.Response(status_code=400, headers=pairs, reason=b"Bad Request"),
            h11.Data(data=BAD_REQUEST),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(part) or b"")
        self.transport.close()

    def _placed(self, app: ASGIApp) -> ASGIApp:
        async def placed(scope: Scope, receive: Receive, send: Send) -> None:
            self._in_time()
            if self._connection is not None:
                self._connection.busy = True
                scope[PLACE] = self._connection
            await app(scope, receive, send)

        return placed

    def _wait(self) -> None:
        self._in_time()
        self._due = self.loop.call_later(REQUEST_LINE_S, self._too_slow)

    def _in_time(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _too_slow(self) -> None:
        self._due = None
        if self._begun:  # browsers open connections that they may never use
            self.policy.refusals.note("slow", address=self.client[0] if self.client else "")
        self.transport.abort()

    def _leave(self) -> None:
        self._in_time()
        if self._connection is not None:
            self.policy.connections.leave(self._connection)


class _Handshake(ServerProtocol):
    policy: ConnectionPolicy

    def reject(self, status: Any, text: str) -> Response:
        self.policy.refusals.note("malformed", problem="an invalid WebSocket handshake")
        response = super().reject(status, text.encode("ascii", "replace").decode())  # it quotes what came
        for name, value in self.policy.headers.items():
            response.headers[name] = value
        return response


class _WebSocket(WebSocketsSansIOProtocol):
    policy: ConnectionPolicy
    handshake: type[_Handshake]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn = self.handshake(max_size=self.config.ws_max_size, logger=self.logger)

    def data_received(self, data: bytes) -> None:
        try:
            super().data_received(data)
        except Exception:  # noqa: BLE001 (as above)
            _give_up(self.policy, self.transport)


def _give_up(policy: ConnectionPolicy, transport: asyncio.Transport) -> None:
    """Close after input that the library failed on: no response, and at most one traceback a minute."""
    policy.refusals.note("failed", exc_info=True)
    transport.abort()


def protocols(policy: ConnectionPolicy) -> tuple[type[asyncio.Protocol], type[asyncio.Protocol]]:
    """Return protocol classes for uvicorn's options `http` and `ws`."""
    handshake = type("Handshake", (_Handshake,), {"policy": policy})
    websocket = type("WebSocket", (_WebSocket,), {"policy": policy, "handshake": handshake})
    return type("Http", (_Http,), {"policy": policy}), websocket
