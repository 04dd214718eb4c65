"""What every request must pass before a page or a button sees it.

A browser carries requests of pages that a visitor happens to have open elsewhere. So: the name that the
browser asked for must be one of ours (DNS rebinding), whatever changes something or opens a stream must
come from a page of ours (cross-site requests), and nothing large is read.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.config.settings import WebSettings
from agent.web.gate import Gate

MAX_BODY_BYTES = 4096  # as over MQTT
DRAIN_BYTES = 2_000_000  # of what is too large, read and thrown away, so that the answer is heard
BODY_S = 5.0
OPEN_PATHS = ("/login", "/healthz", "/static/", "/favicon.ico")
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


class Guard:
    """An ASGI app around the page."""

    def __init__(self, app: ASGIApp, settings: WebSettings, gate: Gate) -> None:
        self._app, self._settings, self._gate = app, settings, gate
        self._names = _own_names(settings)
        self._headers = security_headers(settings.origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Of the protocol ASGI."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await _refuse_stream(receive, send, refusal)
            return
        send = self._hardened(send, headers)
        if refusal is None:
            body = await _whole_body(receive, headers)
            if body is None:
                refusal = _problem(413, f"a request may have {MAX_BODY_BYTES} bytes at most")
            else:
                await self._app(scope, _replayed(body, receive), send)
                return
        await refusal(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            return _problem(421, f"unknown host {host[:80]!r}; add the name to web.names in config.toml")
        acts = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if acts and not self._from_our_page(headers, host):
            return _problem(403, "this comes from another page; add its origin to web.origins in config.toml")
        path = scope["path"]
        if path.startswith(OPEN_PATHS) or self._admitted(headers):
            return None
        if path in {"/", "/kiosk"} and scope["type"] == "http":
            return RedirectResponse(f"/login?next={path}", 303)
        return _problem(401, "the token is missing: log in, or send it as Authorization: Bearer TOKEN")

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
        """Programs send no Origin; browsers always do where it matters."""
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "none") in {"none", "same-origin"}
        return origin in self._settings.origins or urlsplit(origin).netloc.lower() == host.lower()

    def _admitted(self, headers: Headers) -> bool:
        return self._gate.admits(
            authorization=headers.get("authorization", ""),
            cookies=headers.get("cookie", ""),
            protocols=[name.strip() for name in headers.get("sec-websocket-protocol", "").split(",")],
        )

    def _hardened(self, send: Send, asked: Headers) -> Send:
        origin = asked.get("origin")
        shared = (
            {"access-control-allow-origin": origin, "vary": "Origin"}
            if origin in self._settings.origins
            else {}
        )

        async def hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({**self._headers, **shared})
                headers.setdefault("cache-control", "no-cache")
            await send(message)

        return hardened


def security_headers(origins: tuple[str, ...]) -> Mapping[str, str]:
    """Nothing from other hosts, no script but the files of ours, embedded only where it was allowed."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' blob:",
        "connect-src": "'self'",
        "manifest-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": " ".join(("'self'", *origins)),
        "require-trusted-types-for": "'script'",
    }
    return {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",  # with "no-referrer" browsers send "Origin: null" along with forms
        "cross-origin-resource-policy": "cross-origin" if origins else "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=()",
    }


def _own_names(settings: WebSettings) -> frozenset[str]:
    here = socket.gethostname().lower()
    names = {"localhost", settings.host.lower(), *(name.lower() for name in settings.names)}
    if not settings.loopback:
        names |= {here, f"{here.partition('.')[0]}.local"}
    return frozenset(names)


def _problem(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)


async def _refuse_stream(receive: Receive, send: Send, refusal: Response) -> None:
    await receive()  # websocket.connect
    headers = [(b"content-type", b"application/json")]
    await send({"type": "websocket.http.response.start", "status": refusal.status_code, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": bytes(refusal.body)})


async def _whole_body(receive: Receive, headers: Headers) -> bytes | None:
    """What was sent along; None where it is too large or does not come to an end."""
    size, pieces = 0, []

    async def read() -> None:
        nonlocal size
        more = True
        while more and size <= DRAIN_BYTES:
            message = await receive()
            more = message["type"] == "http.request" and message.get("more_body", False)
            piece = message.get("body", b"")
            size += len(piece)
            if size <= MAX_BODY_BYTES:
                pieces.append(piece)

    if not headers.get("content-length") and not headers.get("transfer-encoding"):
        return b""
    try:
        await asyncio.wait_for(read(), BODY_S)
    except asyncio.TimeoutError:  # another class than TimeoutError in Python 3.10
        return None
    return b"".join(pieces) if size <= MAX_BODY_BYTES else None


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body as one message, then whatever comes."""
    told = False

    async def replay() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
