"""Security middleware: host, origin, token and size checks before any route.

A browser also sends requests of foreign pages that a user has open. So the Host header must be one of
our names (DNS rebinding), whatever changes something or opens a stream must come from an allowed origin
(cross-site requests), and large bodies are refused.
"""

from __future__ import annotations

import ipaddress
import math
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from agent.config.settings import WebSettings
from agent.web.auth import TokenAuth, tokens_in
from agent.web.body import MAX_BODY_BYTES, most_bytes, replayed, whole_body
from agent.web.headers import security_headers
from agent.web.limits.addresses import visitor_of
from agent.web.limits.attempts import Attempts
from agent.web.limits.connections import Kind, OpenConnection
from agent.web.limits.protocol import PLACE
from agent.web.limits.refusals import Refusals

OPEN_PATHS = ("/login", "/healthz", "/static/", "/favicon.ico")
VISITOR = "gesture_agent.visitor"  # scope key of the client for rate limits
PAGES = {"/", "/kiosk", "/rules", "/setup", "/teach", "/tune"}
MONITORS = {"/healthz", "/metrics"}
NO_TOKEN = "the token is missing or wrong: log in, or send it as Authorization: Bearer TOKEN"  # noqa: S105
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True, slots=True)
class _Caller:
    """Client address behind a trusted proxy, and the host name that it used."""

    visitor: str
    host: str
    through_proxy: bool


class SecurityMiddleware:
    """ASGI middleware that checks every request before the routes see it."""

    def __init__(
        self, app: ASGIApp, settings: WebSettings, auth: TokenAuth, attempts: Attempts, refusals: Refusals
    ) -> None:
        self._app, self._settings, self._auth = app, settings, auth
        self._attempts, self._refusals = attempts, refusals
        self._names = _own_names(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request (ASGI)."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if scope["type"] == "websocket":
            await self._stream(scope, receive, send, refusal)
            return
        watched = _Watched(send, headers.get("origin"), self._settings.origins)
        try:
            if refusal is None:
                most = most_bytes(scope["path"]) if self._settings.edit else MAX_BODY_BYTES
                body = await whole_body(receive, headers, most)
                if body is not None:
                    await self._app(scope, replayed(body, receive), watched.send)
                    return
                self._refusals.note("large", path=_short(scope["path"]))
                refusal = _problem(413, f"a request may have {most} bytes at most")
            await refusal(scope, receive, watched.send)
        except Exception:  # noqa: BLE001 (top level of a request; logged with its traceback)
            self._refusals.note("failed", path=_short(scope["path"]), exc_info=True)
            if not watched.begun:
                await _problem(500, "this is a fault of gesture-agent; its log says more")(
                    scope, receive, watched.send
                )

    async def _stream(self, scope: Scope, receive: Receive, send: Send, refusal: Response | None) -> None:
        if refusal is not None:
            await _refuse_stream(receive, send, refusal, security_headers(self._settings.origins))
            return
        try:
            await self._app(scope, receive, send)
        except WebSocketDisconnect:
            pass
        except Exception:
            self._refusals.note("failed", path=_short(scope["path"]), exc_info=True)
            raise

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        caller = self._caller(scope, headers)
        scope[VISITOR] = caller.visitor
        return self._out_of_place(scope, headers, caller) or self._without_token(scope, headers, caller)

    def _out_of_place(self, scope: Scope, headers: Headers, caller: _Caller) -> Response | None:
        """Refuse a foreign Host header or origin."""
        path = scope["path"]
        if not caller.through_proxy and not self._is_ours(caller.host):
            self._refusals.note("host", host=_short(caller.host), address=caller.visitor)
            return _problem(
                421, f"unknown host {_short(caller.host)!r}; add the name to web.names in config.toml"
            )
        acts = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if acts and not self._from_our_page(headers, caller.host):
            self._refusals.note(
                "origin",
                origin=_short(headers.get("origin", "none")),
                host=_short(caller.host),
                path=_short(path),
                address=caller.visitor,
                remedy="if this page may act, add its origin to web.origins",
            )
            return _problem(403, "this comes from another page; add its origin to web.origins in config.toml")
        return None

    def _without_token(self, scope: Scope, headers: Headers, caller: _Caller) -> Response | None:
        path = scope["path"]
        kind: Kind = "monitor" if path in MONITORS else "visitor"
        if path == "/healthz" or self._known(headers, caller):
            return self._seated(scope, kind)
        if path.startswith(OPEN_PATHS):
            return None
        if offered := _offered(headers):
            return self._tried(offered, caller) or self._seated(scope, kind)
        if path in PAGES and scope["type"] == "http":
            return RedirectResponse(f"login?next={path.strip('/')}", 303)
        return _problem(401, NO_TOKEN)

    def _tried(self, offered: list[str], caller: _Caller) -> Response | None:
        """None if one of the tokens is right and the client may try."""
        if wait_s := self._attempts.wait_s(caller.visitor):
            self._attempts.failed(caller.visitor)
            self._refusals.note("attempts", address=caller.visitor, wait_s=math.ceil(wait_s))
            return _wait(wait_s)
        if any(self._auth.is_token(token) for token in offered):
            return None
        tries = self._attempts.failed(caller.visitor)
        self._refusals.note("token", address=caller.visitor, tries=math.ceil(tries))
        return _problem(401, NO_TOKEN)

    def _caller(self, scope: Scope, headers: Headers) -> _Caller:
        peer = scope["client"][0] if scope.get("client") else ""
        host = headers.get("host", "")
        if peer not in self._settings.proxies:
            return _Caller(visitor_of(peer), host, through_proxy=False)
        behind = headers.get("x-forwarded-for", "").rpartition(",")[2].strip() or peer
        return _Caller(visitor_of(behind[:64]), headers.get("x-forwarded-host", host), through_proxy=True)

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._settings.loopback  # an address cannot be rebound

    def _from_our_page(self, headers: Headers, host: str) -> bool:
        """Origin check. Programs send no Origin; browsers always do for these requests."""
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "none") in {"none", "same-origin"}
        if origin in self._settings.origins:
            return True
        try:
            return urlsplit(origin).netloc.lower() == host.lower() != ""
        except ValueError:  # "http://["
            return False

    def _known(self, headers: Headers, caller: _Caller) -> bool:
        """True without a token or with a valid cookie; the rate limit does not apply to these."""
        if self._auth.open or (caller.through_proxy and self._settings.proxies_log_in):
            return True
        return self._auth.knows(headers.get("cookie", ""))

    def _seated(self, scope: Scope, kind: Kind) -> Response | None:
        """Count the connection among those of its kind."""
        place: OpenConnection | None = scope.get(PLACE)
        if place is None or place.move(kind):
            return None
        self._refusals.note("connections", kind=kind, address=place.visitor)
        return _problem(503, "too many connections at once; try again", {"retry-after": "1"})


def _offered(headers: Headers) -> list[str]:
    """Tokens that a request offers."""
    protocols = [name.strip() for name in headers.get("sec-websocket-protocol", "").split(",")]
    return tokens_in(headers.get("authorization", ""), protocols)


class _Watched:
    """Wraps `send`: adds security headers and notes whether a response has started."""

    def __init__(self, send: Send, origin: str | None, origins: tuple[str, ...]) -> None:
        self.begun = False
        self._send = send
        self._shared = (
            {"access-control-allow-origin": origin, "vary": "Origin"} if origin and origin in origins else {}
        )

    async def send(self, message: Message) -> None:
        """Send a message (ASGI)."""
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            headers.update(self._shared)
            headers.setdefault("cache-control", "no-cache")
        await self._send(message)


def _own_names(settings: WebSettings) -> frozenset[str]:
    here = socket.gethostname().lower()
    names = {"localhost", settings.host.lower(), *(name.lower() for name in settings.names)}
    if not settings.loopback:
        names |= {here, f"{here.partition('.')[0]}.local"}
    return frozenset(names)


def _problem(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": text}, status, headers)


def _wait(wait_s: float) -> Response:
    seconds = math.ceil(wait_s)
    text = f"too many wrong tokens from this address; try again in {seconds} s"
    return _problem(429, text, {"retry-after": str(seconds), "connection": "close"})


def _short(text: str) -> str:
    return text[:80]


async def _refuse_stream(
    receive: Receive, send: Send, refusal: Response, security: Mapping[str, str]
) -> None:
    await receive()  # websocket.connect
    headers = [*refusal.raw_headers, *((n.encode(), v.encode()) for n, v in security.items())]
    headers = [pair for pair in headers if pair[0] != b"content-length"]  # the server says it
    await send({"type": "websocket.http.response.start", "status": refusal.status_code, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": bytes(refusal.body)})
