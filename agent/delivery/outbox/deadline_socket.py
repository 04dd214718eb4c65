"""TCP or TLS connection with one deadline for the whole exchange.

A socket timeout applies to each read: a server that sends a byte now and then would never time out.
"""

from __future__ import annotations

import contextlib
import io
import select
import socket
import ssl
import struct
import time
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from typing_extensions import Buffer


class DeadlineSocket:
    """Socket replacement for `http.client`. Every method raises `TimeoutError` past the deadline."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        """`deadline` in seconds of `time.monotonic`."""
        self.sent_all = False  # set by who knows what all is
        self._sock, self._deadline = sock, deadline

    def sendall(self, data: Buffer) -> None:
        """Send all bytes."""
        left = memoryview(data).cast("B")
        while left:
            self._sock.settimeout(_left_s(self._deadline))
            left = left[self._sock.send(left) :]

    def makefile(self, _mode: str) -> BinaryIO:
        """Return a buffered reader."""
        return cast("BinaryIO", io.BufferedReader(_Reader(self)))

    def read_into(self, buffer: Buffer) -> int:
        """Read some bytes into `buffer`; return how many."""
        self._sock.settimeout(_left_s(self._deadline))
        return self._sock.recv_into(buffer)

    def close(self) -> None:
        """Do nothing: `http.client` closes when it likes; `cut` really closes."""

    def cut(self) -> None:
        """Close with RST: unsent data is discarded and nothing more is received."""
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            self._sock.close()


class _Reader(io.RawIOBase):
    def __init__(self, line: DeadlineSocket) -> None:
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        return self._line.read_into(buffer)


def connect(host: str, port: int, within_s: float, tls: ssl.SSLContext | None) -> DeadlineSocket:
    """Connect within `within_s` seconds, name lookup included. Raises `OSError` and `TimeoutError`."""
    deadline = time.monotonic() + within_s
    trouble: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(_left_s(deadline))
            sock.connect(address)
            if tls is not None:
                sock = _shake_hands(sock, tls, host, deadline)
        except OSError as exc:
            sock.close()
            trouble = exc
            continue
        return DeadlineSocket(sock, deadline)
    raise trouble


def _shake_hands(sock: socket.socket, tls: ssl.SSLContext, host: str, deadline: float) -> ssl.SSLSocket:
    wrapped = tls.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    try:
        while True:
            wrapped.setblocking(False)
            try:
                wrapped.do_handshake()
            except ssl.SSLWantReadError:
                event = select.POLLIN
            except ssl.SSLWantWriteError:
                event = select.POLLOUT
            else:
                return wrapped
            poll = select.poll()  # select() is limited to descriptors below 1024
            poll.register(wrapped, event)
            poll.poll(_left_s(deadline) * 1000)
    except BaseException:
        wrapped.close()
        raise


def _left_s(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return left
