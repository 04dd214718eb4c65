"""Embedded MQTT broker (amqtt, loopback only) for demos and for kiosks without a broker.

It speaks MQTT 3.1.1, keeps nothing on disk and accepts every local client without a login.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading

import structlog

from agent.errors import CannotStart
from agent.supervision import Threads, WatchedThread

try:
    from amqtt.broker import Broker
    from amqtt.errors import AMQTTError
except ImportError as exc:
    raise CannotStart(
        f'mqtt.url = "embedded" needs the package amqtt ({exc}); '
        "pip install 'gesture-agent[embedded]', or set mqtt.url to a broker"
    ) from exc

log = structlog.get_logger(__name__)

HOST = "127.0.0.1"
FIRST_PORT, PORTS = 1883, 50
START_S = 10.0
MOVE_S = 1.0


class _Broker(Broker):  # type: ignore[misc]  # amqtt has no types
    """amqtt broker that closes every connection; amqtt leaves clients open that do not speak MQTT 3.1.1."""

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        try:
            await super().stream_connected(reader, writer, listener_name)
        finally:
            writer.close()


class EmbeddedBroker:
    """Embedded broker, in a thread with its own event loop."""

    def __init__(self, first_port: int = FIRST_PORT, threads: Threads | None = None) -> None:
        self.port = _free_port(first_port)
        self._loop = asyncio.new_event_loop()
        self._thread = (threads or Threads()).thread("broker", self._run)
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._failure: Exception | None = None

    @property
    def url(self) -> str:
        """MQTT URL for clients."""
        return f"mqtt://{HOST}:{self.port}"

    def start(self) -> None:
        """Start the broker and return when clients can connect. Raises `CannotStart`."""
        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # they log every client that disconnects
        self._thread.start()
        if not self._ready.wait(START_S) or self._failure is not None:
            raise CannotStart(f"the embedded broker did not start on port {self.port}: {self._failure}")
        log.info("embedded_broker_started", url=self.url)

    def close(self) -> None:
        """Stop the broker and disconnect all clients."""
        if self._thread.alive:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        broker = _Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{self.port}"}},
                "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            }
        )
        try:
            await broker.start()
        except (AMQTTError, OSError) as exc:
            self._failure = exc
            return
        finally:
            self._ready.set()
        moving = asyncio.ensure_future(_move(self._thread))
        await self._stop.wait()
        moving.cancel()
        await broker.shutdown()


async def _move(thread: WatchedThread) -> None:
    """Heartbeat while the event loop runs."""
    while True:
        thread.moves()
        await asyncio.sleep(MOVE_S)


def _free_port(first: int) -> int:
    """Return the first free port from `first` on. Raises `CannotStart`."""
    for port in range(first, first + PORTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if not _taken(probe, port):
                return port
    raise CannotStart(f"the embedded broker found no free port from {first} to {first + PORTS - 1}")


def _taken(probe: socket.socket, port: int) -> bool:
    try:
        probe.bind((HOST, port))
    except OSError:
        return True
    return False
