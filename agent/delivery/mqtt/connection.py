"""One connection to the broker, from CONNECT to its end, on a paho client that is used once.

A new client has no undelivered messages, on purpose: paho would resend them after an hour's outage,
expired or not. The outbox keeps the rows and its worker sends them again, checking each deadline
first.

paho's callbacks run while it holds its own locks. They only set fields and enqueue; whatever
publishes or takes a lock of ours happens between two `loop()` calls, to avoid a deadlock.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import structlog
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.config.settings import MqttSettings
from agent.delivery.link import Ack, LinkEvent, ProbeAnswered
from agent.delivery.message import Message
from agent.delivery.mqtt import broker_errors
from agent.delivery.mqtt.address import Address, password
from agent.delivery.mqtt.id_lease import IdLease, LeaseHolder
from agent.delivery.mqtt.id_negotiation import IdNegotiation
from agent.delivery.mqtt.packet_checks import Limits, PublishError, admitted, our_limits
from agent.delivery.mqtt.refused_topics import RefusedTopics
from agent.delivery.mqtt.subscription_sync import SubscriptionSync
from agent.delivery.mqtt.subscriptions import Subscriptions
from agent.errors import BrokerLost, CannotStart

TICK_S = 0.25  # limit for a request to close or to abort
CONNECT_S = 5.0  # for TCP and TLS, and again for the broker's CONNACK and first PUBACK
DISCONNECT_S = 1.0
CORRECT_S = 0.5  # seconds between two corrections of a false "offline" from other clients
PROBE = "/probe"  # below our birth topic; nobody publishes or subscribes there
WINDOW = 20  # messages in flight; these may be late if a broker freezes (mosquitto's own default)

log = structlog.get_logger(__name__)

Received: TypeAlias = Callable[[str, bytes, bool], None]  # topic, payload, retained


@dataclass(frozen=True, slots=True)
class ConnectionParams:
    """Broker, credentials and identity for every connection of an agent."""

    settings: MqttSettings
    broker: Address
    tls: ssl.SSLContext | None
    client_id: str
    birth: Message
    will: Message
    subscriptions: Subscriptions
    report: Callable[[LinkEvent], None]
    received: Received
    before_birth: Callable[[], Iterable[Message]] = tuple  # states to publish before "online"
    leases: LeaseHolder | None = None  # None: a client that is no agent and needs no id lease
    left_out: RefusedTopics = field(default_factory=RefusedTopics)


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """Options of one connection, learned from earlier ones: MQTT version, retain, packet size."""

    v5: bool = True
    window: int = WINDOW
    retain: bool = True  # whether the broker supports retained messages
    will_qos: int = 1
    packet_bytes: int | None = None  # larger packets broke earlier connections


class MqttConnection:
    """One MQTT connection: created, connected, stepped until it ends, discarded.

    `reason` says why it ended.
    """

    def __init__(self, params: ConnectionParams, generation: int, terms: ConnectionOptions) -> None:
        self.generation = generation
        self.terms = terms
        self.v5 = terms.v5
        self.window = terms.window
        self.limits = Limits().lowered(terms.packet_bytes, retain=terms.retain)
        self.connect_sent = False  # CONNECT is sent
        self.connected = False  # CONNACK accepted
        self.online = False  # and the birth message is acknowledged
        self._online_since = 0.0
        self.refused: int | None = None  # reason code
        self.closed_by_broker = False  # the broker closed without a reason
        self.yielded: IdLease | None = None  # who gets the id
        self.reason = ""
        self._params = params
        self._birth_mid: int | None = None
        self._birth_is_wrong = False
        self._corrected_at = 0.0
        self._in_flight: dict[int, int] = {}  # bytes by mid
        self._disconnecting = False
        self._gone = False  # our last message is acknowledged
        self._patience_ends = 0.0
        self._negotiation = IdNegotiation(params.leases)
        self._client = self._build()
        self._subscription_sync = SubscriptionSync(self._client, params.subscriptions, params.left_out)
        self._client.on_subscribe = self._subscription_sync.on_suback

    @property
    def version(self) -> str:
        """MQTT version of this connection."""
        return "5" if self.v5 else "3.1.1"

    def connect(self) -> None:
        """Open TCP and TLS and send CONNECT. Raises `BrokerLost` with the reason in words."""
        params = self._params
        try:
            if params.settings.user is not None:
                self._client.username_pw_set(params.settings.user, password(params.settings))
            self._client.connect(
                params.broker.host,
                params.broker.port,
                params.settings.keepalive,
                clean_start=True if self.v5 else paho.MQTT_CLEAN_START_FIRST_ONLY,
                properties=our_limits() if self.v5 else None,
            )
        except CannotStart as exc:  # the password file was removed meanwhile
            raise BrokerLost(str(exc)) from exc
        except OSError as exc:
            raise BrokerLost(broker_errors.unreachable(params.broker, exc)) from exc
        self.connect_sent = True
        self._patience_ends = time.monotonic() + CONNECT_S

    def step(self, wait_s: float = TICK_S) -> bool:
        """Process network traffic for a while; False when the connection has ended."""
        if self._client.loop(wait_s) != MQTTErrorCode.MQTT_ERR_SUCCESS or self.refused is not None:
            return False
        self._negotiation.settle(self.publish_best_effort)
        if self._negotiation.yielded is not None:
            self._yield_id(self._negotiation.yielded)
            return False
        if self.connected and self._birth_mid is None and self._id_is_negotiated():
            for message in self._params.before_birth():
                self.publish_best_effort(message)
            self._birth_mid = self.publish(self._params.birth)
        if self.online:
            self._subscription_sync.sync(self.limits)
        self._params.left_out.settle()
        if not self.online and time.monotonic() > self._patience_ends:
            self.reason = f"{self._params.broker} accepts connections but does not answer"
            return False
        if self._birth_is_wrong and self.online and time.monotonic() > self._corrected_at + CORRECT_S:
            self._birth_is_wrong = False
            self._corrected_at = time.monotonic()
            self.publish(self._params.birth)
        return True

    def publish(self, message: Message) -> int:
        """Publish from any thread and return the mid.

        Raises `PublishError` for what this broker would not take.
        """
        message, properties, size = admitted(message, self.limits, v5=self.v5)
        mid = self._client.publish(
            message.topic, message.payload, message.qos, message.retain, properties=properties
        ).mid
        if message.qos:
            self._in_flight[mid] = size
        return mid

    def probe(self) -> None:
        """Send a packet that changes nothing and that every broker acknowledges. From any thread.

        paho does not report PINGRESP, so UNSUBSCRIBE of an unused topic is sent instead.
        """
        self._client.unsubscribe(self._params.birth.topic + PROBE)

    def publish_best_effort(self, message: Message) -> str | None:
        """Publish without awaiting an acknowledgement; a fault is noted and returned."""
        try:
            mid = self.publish(message)
        except PublishError as exc:
            self._params.left_out.note(message.topic, str(exc))
            return str(exc)
        self._params.left_out.sent(mid, message.topic, min(message.qos, self.limits.qos))
        return None

    @property
    def online_s(self) -> float:
        """Seconds since the connection came up; 0 before."""
        return time.monotonic() - self._online_since if self.online else 0.0

    @property
    def largest_in_flight(self) -> int:
        """Bytes of the largest unacknowledged packet."""
        return max(list(self._in_flight.values()), default=0)

    def disconnect(self) -> None:
        """Publish offline, wait for the acknowledgement, then DISCONNECT, which suppresses the last will."""
        self._disconnecting = self._negotiation.disconnecting = True
        if self.online:
            self._birth_mid = self.publish(self._params.will)
            ends = time.monotonic() + DISCONNECT_S
            while not self._gone and time.monotonic() < ends and self.step(0.05):
                pass
        self.reason = "closed"
        self._client.disconnect()
        self._client.loop(0.05)

    def close(self) -> None:
        """Close with RST, so that the kernel discards unsent data."""
        if not self.reason:
            self.closed_by_broker = True
            self.reason = broker_errors.closed_without_reason(
                self._params.broker, self.version, connected=self.connected, online=self.online
            )
        client = self._client
        client.on_connect = client.on_disconnect = None  # breaks a reference cycle that would
        client.on_publish = client.on_message = client.on_subscribe = None  # keep its sockets open
        client.on_unsubscribe = None
        sock = client.socket()
        if isinstance(sock, socket.socket):  # TLS too; paho's type allows for its websocket
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()

    def _build(self) -> paho.Client:
        params = self._params
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=params.client_id,
            clean_session=None if self.v5 else True,
            protocol=MQTTProtocolVersion.MQTTv5 if self.v5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_S
        client.max_inflight_messages = self.window
        client.on_socket_register_write = _nothing  # keeps paho from writing in the publisher's thread
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_unsubscribe = self._on_unsubscribe
        will = params.will
        retain = will.retain and self.terms.retain
        client.will_set(will.topic, will.payload, min(will.qos, self.terms.will_qos), retain)
        if params.tls is not None:
            client.tls_set_context(params.tls)
            client.tls_insecure_set(not params.settings.tls.verify)
        return client

    def wants_republish(self) -> bool:
        """True once after an id conflict: states that the other agent overwrote need publishing again."""
        due = self._negotiation.wants_republish()
        self._birth_is_wrong = self._birth_is_wrong or due
        return due

    def _id_is_negotiated(self) -> bool:
        """Subscribe first, so that a late last will is seen; then ask who else has our id."""
        if not self._negotiation.begun:
            self._subscription_sync.begin(self.limits)
            self._negotiation.begin(self.publish_best_effort)
        return self._negotiation.done

    def _yield_id(self, to: IdLease) -> None:
        """Disconnect in favour of the other agent, without the last will."""
        self.yielded = to
        self.reason = broker_errors.id_taken(
            self._params.leases.agent if self._params.leases else "", to.host
        )
        self._client.disconnect()
        ends = time.monotonic() + DISCONNECT_S
        while self._client.want_write() and time.monotonic() < ends:
            self._client.loop(0.05)

    # paho callbacks: note and enqueue, nothing else.

    def _on_connect(
        self, _client: Any, _user: Any, _flags: Any, code: ReasonCode, properties: Properties | None
    ) -> None:
        if code.is_failure:
            self.refused = code.value
            user = self._params.settings.user
            self.reason = broker_errors.refused(
                self._params.broker, code.value, str(code), self.version, user
            )
            return
        self.connected = True
        if properties is not None:
            self.window = min(WINDOW, getattr(properties, "ReceiveMaximum", WINDOW))
            self._client._max_inflight_messages = self.window  # noqa: SLF001 (its setter wants no connection)
            self.limits = Limits.from_properties(properties).lowered(
                self.terms.packet_bytes, retain=self.terms.retain
            )

    def _on_disconnect(
        self, _client: Any, _user: Any, flags: paho.DisconnectFlags, code: ReasonCode, _properties: Any
    ) -> None:
        if self.reason:
            return
        if flags.is_disconnect_packet_from_server:
            self.refused = code.value
            self.reason = broker_errors.ended_by_broker(code.value, str(code))
        elif code.getName() == "Keep alive timeout":
            self.reason = "no sign of life from the broker within the keep-alive"

    def _on_publish(self, _client: Any, _user: Any, mid: int, code: ReasonCode, _properties: Any) -> None:
        self._in_flight.pop(mid, None)
        if mid != self._birth_mid:
            self._params.left_out.answered(mid, code.value, str(code))
            self._params.report(Ack(self.generation, mid, code.value, str(code)))
            return
        self._birth_mid = 0  # no message has it; mids repeat after 65535
        self.online, self._online_since = True, time.monotonic()
        self._gone = self._disconnecting

    def _on_unsubscribe(self, *_: Any) -> None:
        self._params.report(ProbeAnswered(self.generation))

    def _on_message(self, _client: Any, _user: Any, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return  # no topic of ours
        leases = self._params.leases
        if leases is not None and topic == leases.topic:
            self._negotiation.received(bytes(message.payload), message.retain)
        elif topic == self._params.birth.topic:
            self._check_own_state(message)
        self._params.received(topic, bytes(message.payload), message.retain)

    def _check_own_state(self, message: paho.MQTTMessage) -> None:
        if message.payload == self._params.birth.payload and message.retain:
            self._negotiation.received_online()
        elif message.payload == self._params.will.payload and not (message.retain or self._disconnecting):
            self._birth_is_wrong = True  # the last will of our previous session, published at take-over


def _nothing(*_: Any) -> None:
    """Callback that does nothing but has to exist."""
