"""HTTP client for camera streams: redirects, Basic and Digest authentication, HTTPS."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import urllib.request
from typing import Any

from agent.capture.server import unverified


class OpenStream:
    """A streaming HTTP response with access to its socket, to change the timeout and to interrupt a read."""

    def __init__(self, url: str, user: str | None, password: str | None, timeout_s: float) -> None:
        """Connect. Raises `HTTPError`, `OSError`, `HTTPException` or `ValueError`, like `urllib`."""
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        if user is not None:
            passwords.add_password(None, url, user, password or "")
        self._sockets: list[socket.socket] = []
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),  # cameras are on the local network: no proxy
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
        """Content type without parameters; empty where the header is missing."""
        headers = self._answer.headers
        return headers.get_content_type() if "Content-Type" in headers else ""

    def wait_at_most(self, timeout_s: float) -> None:
        """Set the timeout of further reads, in seconds."""
        with contextlib.suppress(OSError):
            self._sockets[-1].settimeout(timeout_s)

    def read(self, most_bytes: int) -> bytes:
        """Return available bytes; empty at the end. Raises `TimeoutError`, `OSError`, `HTTPException`."""
        return self._answer.read1(most_bytes)

    def interrupt(self) -> None:
        """Make a waiting `read` return, from any thread."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            self._sockets[-1].shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._answer.close()
        self._let_go()

    def _let_go(self) -> None:
        """Close all sockets; the standard library leaves those of redirects to garbage collection."""
        for opened in self._sockets:
            descriptor = opened.detach()  # -1 where it is closed already
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
    """Connection class that records its socket, which the standard library does not expose."""

    class Connection(kind):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            sockets.append(self.sock)

    return Connection
