"""HTTP and WebSockets of uvicorn with our limits: who is let in, and how long a request may take to come."""

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
from agent.web.limits.connections import OpenConnection, Places
from agent.web.limits.refusals import Refusals

REQUEST_LINE_S = 5.0  # from the first byte to the last of a request's headers, and to the first byte too
PLACE = "gesture_agent.place"  # where a scope has its `OpenConnection`
BAD_REQUEST = b"this is no HTTP request"


@dataclass(frozen=True, slots=True)
class Door:
    """What all connections of one server share."""

    places: Places
    attempts: Attempts
    refusals: Refusals
    headers: Mapping[str, str]  # of every answer, also of those that no page gives


class _Http(H11Protocol):
    door: Door

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._place: OpenConnection | None = None
        self._due: asyncio.TimerHandle | None = None
        self._begun = False  # something has come
        self.app = self._placed(self.app)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        visitor = visitor_of(self.client[0] if self.client else "")
        door = self.door
        if door.attempts.shut_out(visitor) and not is_loopback(visitor):
            transport.abort()
            return
        self._place = door.places.take(visitor, transport.abort)
        if self._place is None:
            door.refusals.note("connections", address=visitor)
            transport.abort()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self._place is None:
            return
        self._begun = True
        if self._due is None and not self._place.busy:
            self._wait()
        try:
            super().data_received(data)
        except Exception:  # noqa: BLE001 (the top of what a connection brings; told with its traceback)
            _give_up(self.door, self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        if self._place is not None:
            self._place.busy = False
        super().on_response_complete()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._leave()  # streams have places of their own: see Hub and Preview
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        self.door.refusals.note("malformed", address=self.client[0] if self.client else "", problem=msg)
        headers = {"content-type": "text/plain", "connection": "close", **self.door.headers}
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
            if self._place is not None:
                self._place.busy = True
                scope[PLACE] = self._place
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
            self.door.refusals.note("slow", address=self.client[0] if self.client else "")
        self.transport.abort()

    def _leave(self) -> None:
        self._in_time()
        if self._place is not None:
            self.door.places.leave(self._place)


class _Handshake(ServerProtocol):
    door: Door

    def reject(self, status: Any, text: str) -> Response:
        self.door.refusals.note("malformed", problem="a WebSocket handshake that is none")
        response = super().reject(status, text.encode("ascii", "replace").decode())  # it quotes what came
        for name, value in self.door.headers.items():
            response.headers[name] = value
        return response


class _WebSocket(WebSocketsSansIOProtocol):
    door: Door
    handshake: type[_Handshake]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn = self.handshake(max_size=self.config.ws_max_size, logger=self.logger)

    def data_received(self, data: bytes) -> None:
        try:
            super().data_received(data)
        except Exception:  # noqa: BLE001 (as above)
            _give_up(self.door, self.transport)


def _give_up(door: Door, transport: asyncio.Transport) -> None:
    """Something came that the library stumbled over: no answer, and one traceback a minute at most."""
    door.refusals.note("failed", exc_info=True)
    transport.abort()


def protocols(door: Door) -> tuple[type[asyncio.Protocol], type[asyncio.Protocol]]:
    """Classes for uvicorn's options `http` and `ws`."""
    handshake = type("Handshake", (_Handshake,), {"door": door})
    websocket = type("WebSocket", (_WebSocket,), {"door": door, "handshake": handshake})
    return type("Http", (_Http,), {"door": door}), websocket
