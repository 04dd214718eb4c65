"""A TCP proxy whose wire can be cut."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable

_RST = struct.pack("ii", 1, 0)


class Wire:
    """Forwards connections to a port of this machine while it is joined; starts cut."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._joined = False
        self._mute = False
        self._lock = threading.Lock()
        self._ends: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def join(self) -> None:
        with self._lock:
            self._joined, self._mute = True, False

    def mute(self) -> None:
        """Answers are swallowed from now on; what is sent still arrives."""
        self._mute = True

    def cut(self) -> None:
        """Reset every connection and let none through."""
        with self._lock:
            self._joined = False
            ends, self._ends = self._ends, []
        for end in ends:
            _reset(end)

    def close(self) -> None:
        self.cut()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._connect(self._server.accept()[0])

    def _connect(self, near: socket.socket) -> None:
        with self._lock:
            try:
                if not self._joined:
                    raise ConnectionRefusedError
                far = socket.create_connection(("127.0.0.1", self._to_port), timeout=5)
            except OSError:
                _reset(near)
                return
            far.settimeout(None)
            self._ends += [near, far]
        for here, there, silenced in ((near, far, lambda: False), (far, near, lambda: self._mute)):
            threading.Thread(target=_pump, args=(here, there, silenced), daemon=True).start()


def _pump(here: socket.socket, there: socket.socket, silenced: Callable[[], bool]) -> None:
    """Forward until either end is gone, then take the other one down in the same way."""
    try:
        while data := here.recv(65536):
            if not silenced():
                there.sendall(data)
        there.shutdown(socket.SHUT_WR)
    except OSError:
        _reset(here)
        _reset(there)


def _reset(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
        end.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        end.close()
