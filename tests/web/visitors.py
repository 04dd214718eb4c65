"""Who comes to the page without a browser."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from websockets.sync.client import ClientConnection, connect

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(url: str, path: str, body: bytes | None = None, method: str = "", **headers: str) -> Answer:
    """One request; header names with _ for -."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE_S)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method or ("GET" if body is None else "POST"), path, body, named)
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def post(url: str, path: str, document: Any = None, **headers: str) -> Answer:
    return ask(url, path, json.dumps(document or {}).encode(), Content_Type="application/json", **headers)


@contextmanager
def stream(url: str, path: str = "ws/kiosk", **options: Any) -> Iterator[Stream]:
    with connect(
        url.replace("http", "ws", 1) + path, max_size=None, ping_interval=None, **options
    ) as connection:
        yield Stream(connection)


class Stream:
    """Messages as they come."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.heard: list[dict[str, Any]] = []

    def next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.connection.recv(timeout=PATIENCE_S))
        self.heard.append(message)
        return message

    def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next message of a type, with these fields."""
        ends = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends:
            message = self.next()
            if message["type"] == kind and fields.items() <= message.items():
                return message
        raise AssertionError(f"waited {PATIENCE_S:g} s for {kind} {fields}")


def who_never_reads(url: str, path: str = "/ws/page") -> socket.socket:
    """A WebSocket client that says hello and then reads nothing, with little room for what comes."""
    address = urlsplit(url)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((address.hostname, address.port))
    key = base64.b64encode(os.urandom(16)).decode()
    client.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    return client
