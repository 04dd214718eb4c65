"""A real mosquitto on a free port, and a subscriber that remembers what it heard."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from support.ports import free_port
from support.waiting import until

PATIENCE_S = 20.0


def mosquitto_program() -> str:
    """Path of the broker; skips the test where it is not installed."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    return found


class Mosquitto:
    """Start, kill -9 and start again on the same port."""

    def __init__(self, folder: Path, *lines: str, listener: str = "", port: int | None = None) -> None:
        self.port = port or free_port()
        self.log = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            "\n".join(
                [
                    f"listener {self.port} 127.0.0.1",
                    listener,
                    "user root",
                    *(lines or ("allow_anonymous true",)),
                ]
            )
        )
        self._program = mosquitto_program()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> Mosquitto:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-v", "-c", str(self._config)], stdout=log, stderr=subprocess.STDOUT
            )
        until(self._listens, "mosquitto listens")
        return self

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()

    def _listens(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"mosquitto ended: {self.log.read_text()}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@dataclass(frozen=True)
class Heard:
    topic: str
    payload: str
    retained: bool
    qos: int
    at: float  # wall clock
    properties: dict[str, object]


class Subscriber:
    """Hears everything on a broker, also through the broker's restarts (session kept when asked)."""

    def __init__(
        self, port: int, topic: str = "#", *, durable: str = "", user: str = "", password: str = ""
    ) -> None:
        self.heard: list[Heard] = []
        self.ready = threading.Event()
        self._topic = topic
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=durable, protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.reconnect_delay_set(1, 1)
        if user:
            self._client.username_pw_set(user, password)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *_: self.ready.set()
        self._client.on_message = self._on_message
        if durable:
            properties = paho.Properties(paho.PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 3600
            self._client.connect("127.0.0.1", port, clean_start=False, properties=properties)
        else:
            self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self.ready.wait(PATIENCE_S), "no answer to the subscription"

    def _on_message(self, _client: object, _user: object, message: paho.MQTTMessage) -> None:
        properties = message.properties.json() if message.properties is not None else {}
        self.heard.append(
            Heard(
                message.topic, message.payload.decode(), message.retain, message.qos, time.time(), properties
            )
        )

    def on(self, topic_end: str) -> list[Heard]:
        return [heard for heard in list(self.heard) if heard.topic.endswith(topic_end)]

    def publish(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, 1, retain).wait_for_publish(PATIENCE_S)

    def drop(self) -> None:
        """Lose the connection; it comes back by itself, `ready` again, and hears what its session kept."""
        self.ready.clear()
        sock = self._client.socket()
        if isinstance(sock, socket.socket):
            sock.shutdown(socket.SHUT_RDWR)

    def say(self, topic: str, payload: str) -> None:
        """Without a promise: lost when the broker is away."""
        self._client.publish(topic, payload, 0)

    def close(self) -> None:
        """Stop hearing; safe to call twice."""
        client: paho.Client | None = self.__dict__.pop("_client", None)
        if client is None:
            return
        client.disconnect()
        client.loop_stop()
        client.on_message = client.on_connect = None  # a cycle: paho closes its last sockets with the client
