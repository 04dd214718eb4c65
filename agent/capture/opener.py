"""Asks a camera's web server for its stream: redirects, Basic and Digest logins, HTTPS."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import urllib.request
from typing import Any

from agent.capture.server import unverified


class OpenStream:
    """An answer that goes on, and the socket under it: its timeout changes, and another thread may end it."""

    def __init__(self, url: str, user: str | None, password: str | None, timeout_s: float) -> None:
        """Raises what `urllib.request` raises: `HTTPError`, `OSError`, `HTTPException`, `ValueError`."""
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        if user is not None:
            passwords.add_password(None, url, user, password or "")
        self._sockets: list[socket.socket] = []
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),  # a camera is never behind the proxy of the web
            _Plain(self._sockets),
            _Encrypted(self._sockets),
            urllib.request.HTTPDigestAuthHandler(passwords),
            urllib.request.HTTPBasicAuthHandler(passwords),
        )
        try:
            self._answer: http.client.HTTPResponse = opener.open(url, timeout=timeout_s)
        except BaseException:
            self._let_go()
            raise

    @property
    def kind(self) -> str:
        """The content type without parameters; empty where none is told."""
        headers = self._answer.headers
        return headers.get_content_type() if "Content-Type" in headers else ""

    def wait_at_most(self, timeout_s: float) -> None:
        """How long a read may take from now on."""
        with contextlib.suppress(OSError):
            self._sockets[-1].settimeout(timeout_s)

    def read(self, most_bytes: int) -> bytes:
        """What is there, nothing at the end. Raises `TimeoutError`, `OSError`, `HTTPException`."""
        return self._answer.read1(most_bytes)

    def interrupt(self) -> None:
        """A waiting read returns; from any thread."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            self._sockets[-1].shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._answer.close()
        self._let_go()

    def _let_go(self) -> None:
        """Of the sockets of redirects and first tries too, which the standard library leaves to chance."""
        for opened in self._sockets:
            descriptor = opened.detach()  # -1 for one that is closed already
            if descriptor >= 0:
                os.close(descriptor)
        self._sockets.clear()


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, sockets: list[socket.socket]) -> None:
        super().__init__()
        self._sockets = sockets

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_remembering(http.client.HTTPConnection, self._sockets), req)


class _Encrypted(urllib.request.HTTPSHandler):
    def __init__(self, sockets: list[socket.socket]) -> None:
        self._tls = unverified()
        super().__init__(context=self._tls)
        self._sockets = sockets

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        kind = _remembering(http.client.HTTPSConnection, self._sockets)
        return self.do_open(kind, req, context=self._tls)


def _remembering(kind: type[Any], sockets: list[socket.socket]) -> Any:
    """A connection that tells its socket: nothing of the standard library hands it out."""

    class Connection(kind):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            sockets.append(self.sock)

    return Connection
