"""MQTT reader for the command line: subscribes with the configured login, publishes only on request."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from agent.config.settings import MqttSettings
from agent.delivery.mqtt import broker_errors
from agent.delivery.mqtt.address import address, password, tls_context
from agent.delivery.mqtt.packet_checks import our_limits
from agent.errors import BrokerLost

if TYPE_CHECKING:
    from typing_extensions import Self

CONNECT_S = 5.0
QUIET_S = 0.4  # seconds without a message after SUBACK: all retained messages have arrived
ALL_S = 10.0  # limit for a busy broker

MessageHandler: TypeAlias = Callable[[str, bytes, bool], object]  # topic, payload, retained


class FleetReader:
    """Context manager with a connected and subscribed MQTT client. For one thread."""

    def __init__(self, settings: MqttSettings, topics: Sequence[str], on_message: MessageHandler) -> None:
        """Prepare the client. Raises `CannotStart` for a wrong URL, certificates or password file."""
        self._settings, self._topics, self._handler = settings, tuple(topics), on_message
        self._broker = address(settings.url)
        self._tls = tls_context(settings.tls) if self._broker.tls else None
        self._password = password(settings)
        self._client: paho.Client | None = None
        self._refused: tuple[int, str] | None = None
        self._granted: set[int] = set()
        self._last_at = 0.0

    def __enter__(self) -> Self:
        """Connect and subscribe. Raises `BrokerLost` with the reason in words."""
        versions = {"5": (True,), "3.1.1": (False,), "auto": (True, False)}[self._settings.version]
        for v5 in versions:
            try:
                self._connect(v5=v5)
            except BrokerLost:
                if v5 and len(versions) > 1 and self._refused_version():
                    continue
                raise
            return self
        raise BrokerLost(f"{self._broker} supports no known version of MQTT")

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect cleanly."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop(0.05)
            self._client = None

    def collect(self) -> None:
        """Wait until all retained messages have arrived. Raises `BrokerLost`."""
        ends = time.monotonic() + ALL_S
        self._last_at = time.monotonic()
        while time.monotonic() < min(ends, self._last_at + QUIET_S):
            self.step(0.1)

    def step(self, wait_s: float) -> None:
        """Process what arrives within that time. Raises `BrokerLost` when the connection is lost."""
        client = self._client
        if client is None or client.loop(wait_s) != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._client = None
            raise BrokerLost(
                broker_errors.closed_without_reason(self._broker, "", connected=True, online=True)
            )

    def publish(self, topic: str, payload: bytes, *, retain: bool = True) -> None:
        """Publish with QoS 1 and wait for the acknowledgement. Raises `BrokerLost`."""
        assert self._client is not None  # noqa: S101 (inside the context)
        told = self._client.publish(topic, payload, 1, retain)
        ends = time.monotonic() + CONNECT_S
        while not told.is_published():
            self.step(0.1)
            if time.monotonic() > ends:
                raise BrokerLost(f"{self._broker} does not acknowledge what is published")

    def _refused_version(self) -> bool:
        return self._refused is None or self._refused[0] == broker_errors.UNSUPPORTED_VERSION

    def _connect(self, *, v5: bool) -> None:
        self._refused, self._granted = None, set()
        client = self._client = self._build(v5=v5)
        version = "5" if v5 else "3.1.1"
        try:
            limits = our_limits() if v5 else None
            client.connect(self._broker.host, self._broker.port, self._settings.keepalive, properties=limits)
        except OSError as exc:
            self._refused = (0, "")
            raise BrokerLost(broker_errors.unreachable(self._broker, exc)) from exc
        ends = time.monotonic() + CONNECT_S
        while len(self._granted) < len(self._topics):
            lost = client.loop(0.1) != MQTTErrorCode.MQTT_ERR_SUCCESS
            self._raise_if_refused(version)
            if lost:
                raise BrokerLost(
                    broker_errors.closed_without_reason(self._broker, version, connected=False, online=False)
                )
            if time.monotonic() > ends:
                raise BrokerLost(f"{self._broker} accepts connections but does not answer")

    def _raise_if_refused(self, version: str) -> None:
        if self._refused is not None:
            code, name = self._refused
            raise BrokerLost(broker_errors.refused(self._broker, code, name, version, self._settings.user))

    def _build(self, *, v5: bool) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"gesture-agent-fleet-{uuid.uuid4().hex[:8]}",
            protocol=MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_S
        if self._settings.user is not None:
            client.username_pw_set(self._settings.user, self._password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
            client.tls_insecure_set(not self._settings.tls.verify)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: paho.Client, _user: Any, _flags: Any, code: Any, _properties: Any) -> None:
        if code.is_failure:
            self._refused = (code.value, str(code))
            return
        for topic in self._topics:
            client.subscribe(topic, qos=0)

    def _on_subscribe(self, _client: Any, _user: Any, mid: int, _codes: Any, _properties: Any) -> None:
        self._granted.add(mid)

    def _on_message(self, _client: Any, _user: Any, message: paho.MQTTMessage) -> None:
        self._last_at = time.monotonic()
        self._handler(message.topic, bytes(message.payload), message.retain)
