"""The connection to the broker: one thread, one fresh paho client per connection.

A fresh client forgets what it had not delivered, on purpose: paho would send it again after an hour's
outage, deadline or not. The rows of the outbox are the truth and are sent again by the drain, which
asks each one's deadline first.

paho's callbacks run while it holds its own locks. They only set fields and enqueue; whatever
publishes or takes a lock of ours happens between two `loop()` calls, or a deadlock would wait there.
"""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import structlog
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.config.settings import MqttSettings
from agent.delivery.address import address, password, tls_context
from agent.delivery.message import Message
from agent.errors import BrokerLost, CannotStart

log = structlog.get_logger(__name__)

TICK_S = 0.25  # how long a request to close or abort may wait
CONNECT_S = 5.0  # for TCP and TLS, and again for the broker's CONNACK and first PUBACK
FIRST_RETRY_S, LAST_RETRY_S = 0.25, 2.0  # a gesture is worth little after 5 s, so ask often
RIVAL_RETRY_S = 5.0  # two agents with one id push each other out; not too fast
STABLE_S = 10.0  # a connection that lives longer is a good one
RIVAL = 3  # short-lived connections in a row that smell of another client with our id
REFUSED_RETRY_S = 30.0  # a wrong password stays wrong for a while
UNANSWERED = 2  # CONNECTs of MQTT 5 in a row that smell of a broker that does not know it
WINDOW = 20  # messages in flight; what may be late if a broker freezes (mosquitto's own default)

_V5, _V3 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
_UNSUPPORTED_VERSION, _BAD_LOGIN, _TAKEN_OVER = 132, (134, 135), 142  # MQTT 5.0, 2.4
_RIVAL = 'does another client use the id "{}"? give each agent its own agent.id'


@dataclass(frozen=True, slots=True)
class Up:
    """The broker has acknowledged our birth message. `generation` numbers the connections."""

    generation: int
    window: int
    max_packet: int | None  # bytes; None: the broker set no limit


@dataclass(frozen=True, slots=True)
class Down:
    """That connection is gone, with everything that was in flight on it."""

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ack:
    """PUBACK of a message; `code` is the MQTT 5 reason (0 fine, 16 nobody subscribed, >= 128 refused)."""

    generation: int
    mid: int
    code: int
    reason: str


LinkEvent: TypeAlias = Up | Down | Ack
Received: TypeAlias = Callable[[str, bytes, bool], None]  # topic, payload, retained


class _Talk:
    """What the callbacks of one connection have noted."""

    def __init__(self, client: paho.Client, generation: int, v5: bool) -> None:
        self.client = client
        self.generation = generation
        self.v5 = v5
        self.connected = False
        self.birth_mid: int | None = None
        self.alive = False  # birth acknowledged
        self.refused: int | None = None
        self.hung_up_on = False  # the other side closed and gave no reason
        self.falls_back = False  # from MQTT 5 to 3.1.1: try again at once
        self.reason = ""
        self.window = WINDOW
        self.max_packet: int | None = None


class Mqtt:
    """Keeps a connection up for as long as it runs; never blocks those who publish."""

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        *,
        birth: Message,
        will: Message,
        subscriptions: Sequence[str],
        report: Callable[[LinkEvent], None],
        received: Received,
    ) -> None:
        """Raises `CannotStart` for what a person must mend: URL, certificates, password file."""
        self._settings = settings
        self._client_id = client_id
        self._birth, self._will = birth, will
        self._subscriptions = tuple(subscriptions)
        self._followed: frozenset[str] = frozenset()
        self._report, self._received = report, received
        self._address = address(settings.url)
        self._tls = tls_context(settings.tls) if self._address.tls else None
        password(settings)
        self._states: dict[str, Message] = {}
        self._states_lock = threading.Lock()
        self._v5 = settings.version != "3.1.1"
        self._version_settled = settings.version != "auto"
        self._talk: _Talk | None = None
        self._generation = 0
        self._window = WINDOW
        self._abort = (0, "")  # generation of the connection to cut, and why
        self._birth_is_wrong = False
        self._closing = threading.Event()
        self._flushed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._was_up = False
        self._thrown_out = 0
        self._unanswered = 0
        self.reconnects = 0
        self.trouble: str | None = "not connected yet"

    @property
    def connected(self) -> bool:
        """True once the broker has acknowledged something on the present connection."""
        return self._talk is not None

    @property
    def version(self) -> str:
        """The MQTT version spoken or tried last."""
        return "5" if self._v5 else "3.1.1"

    def start(self) -> None:
        """Returns at once; the connection comes up when it can."""
        if self._tls is not None and not self._settings.tls.verify:
            log.warning("broker_not_verified", broker=str(self._address), fix="set mqtt.tls.verify = true")
        self._thread.start()

    def close(self, limit_s: float) -> None:
        """Publish offline, disconnect, end the thread; give up after `limit_s`."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(limit_s)

    def abort(self, generation: int, reason: str) -> None:
        """Cut that connection so that what lies in its buffers is not delivered late."""
        talk = self._talk
        if talk is not None and talk.generation == generation:
            self._abort = (generation, reason)

    def publish(self, message: Message, generation: int | None = None) -> int | None:
        """Hand over a message; its mid, or None when that connection (None: any) is not up.

        Raises `ValueError` when the topic cannot be published to.
        """
        talk = self._talk
        if talk is None or (generation is not None and talk.generation != generation):
            return None
        return self._publish(talk, message)

    def follow(self, topics: Iterable[str]) -> None:
        """Subscribe to these besides the fixed ones, now and at every reconnection; drop former ones."""
        before, self._followed = self._followed, frozenset(topics)
        talk = self._talk
        if talk is not None:
            for topic in before - self._followed:
                talk.client.unsubscribe(topic)
            for topic in self._followed - before:
                talk.client.subscribe(topic, qos=1)

    def keep(self, message: Message) -> None:
        """Publish a state now if the broker is there, and again whenever it comes back."""
        with self._states_lock:
            self._states[message.topic] = message
            talk = self._talk
            if talk is not None:
                self._publish(talk, message)

    def forget(self, topic: str) -> None:
        """Do not publish that state again; what the broker retains stays there."""
        with self._states_lock:
            self._states.pop(topic, None)

    def repeat_states(self) -> None:
        """Publish all states again, for a subscriber that has just been born."""
        talk = self._talk
        if talk is not None:
            self._publish_states(talk)

    @staticmethod
    def _publish(talk: _Talk, message: Message) -> int:
        properties = _properties(message) if talk.v5 else None
        return talk.client.publish(
            message.topic, message.payload, message.qos, message.retain, properties=properties
        ).mid

    def _publish_states(self, talk: _Talk) -> None:
        with self._states_lock:
            for message in self._states.values():
                self._publish(talk, message)

    # The thread.

    def _run(self) -> None:
        retry_s = FIRST_RETRY_S
        lost_at: float | None = None
        said = ""
        while not self._closing.is_set():
            began = time.monotonic()
            talk: _Talk | None = None
            reason = ""
            try:
                talk = self._dial()
                self._converse(talk, lost_at)
                reason = talk.reason
            except BrokerLost as exc:
                reason = str(exc)
            if self._closing.is_set():
                break
            if talk is not None and talk.falls_back:
                continue
            if talk is not None and talk.alive:
                said, lost_at = "", time.monotonic()
                retry_s = FIRST_RETRY_S
                reason = self._suspect_a_rival(talk, reason, lost_at - began)
            if reason != said:
                log.warning("broker_lost", reason=reason, broker=str(self._address))
                said = reason
            self.trouble = reason
            wait_s = self._retry_s(talk, retry_s)
            retry_s = min(LAST_RETRY_S, retry_s * 2)
            lost_at = lost_at or began
            self._closing.wait(wait_s * random.uniform(0.8, 1.2))  # noqa: S311 (spreads a fleet's retries)

    def _retry_s(self, talk: _Talk | None, usual_s: float) -> float:
        if talk is not None and talk.refused in (*_BAD_LOGIN, _TAKEN_OVER):
            return REFUSED_RETRY_S
        return RIVAL_RETRY_S if self._thrown_out >= RIVAL else usual_s

    def _suspect_a_rival(self, talk: _Talk, reason: str, lived_s: float) -> str:
        """Not every broker says who pushed us out; being thrown out again and again says it too."""
        thrown_out = talk.hung_up_on and lived_s < STABLE_S
        self._thrown_out = self._thrown_out + 1 if thrown_out else 0
        if self._thrown_out < RIVAL:
            return reason
        return f"{reason}, {self._thrown_out} times in a row; {_RIVAL.format(self._client_id)}"

    def _dial(self) -> _Talk:
        """Connect and send CONNECT. Raises `BrokerLost` with the reason in words."""
        self._generation += 1
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=None if self._v5 else True,
            protocol=_V5 if self._v5 else _V3,
            reconnect_on_failure=False,
        )
        talk = _Talk(client, self._generation, self._v5)
        client.connect_timeout = CONNECT_S
        client.max_inflight_messages = self._window  # as the last connection learned it
        client.on_socket_register_write = _nothing  # keeps paho from writing in the publisher's thread
        client.on_connect = lambda _c, _u, _f, code, props: self._on_connect(talk, code, props)
        client.on_disconnect = lambda _c, _u, flags, code, _p: _on_disconnect(talk, flags, code)
        client.on_publish = lambda _c, _u, mid, code, _p: self._on_publish(talk, mid, code)
        client.on_message = lambda _c, _u, message: self._on_message(message)
        client.will_set(self._will.topic, self._will.payload, self._will.qos, self._will.retain)
        if self._tls is not None:
            client.tls_set_context(self._tls)
            client.tls_insecure_set(not self._settings.tls.verify)
        try:
            if self._settings.user is not None:
                client.username_pw_set(self._settings.user, password(self._settings))
            client.connect(
                self._address.host,
                self._address.port,
                self._settings.keepalive,
                clean_start=True if self._v5 else paho.MQTT_CLEAN_START_FIRST_ONLY,
            )
        except CannotStart as exc:  # the password file went away while we ran
            raise BrokerLost(str(exc)) from exc
        except OSError as exc:
            raise BrokerLost(self._why_unreachable(exc)) from exc
        return talk

    def _converse(self, talk: _Talk, lost_at: float | None) -> None:
        """Until the connection ends; `talk.reason` says why."""
        patience_ends = time.monotonic() + CONNECT_S
        try:
            while talk.client.loop(TICK_S) == MQTTErrorCode.MQTT_ERR_SUCCESS:
                if talk.refused is not None:
                    break
                if talk.connected and talk.birth_mid is None:
                    self._introduce(talk)
                if talk.alive and self._talk is None:
                    self._up(talk, lost_at)
                if not talk.alive and time.monotonic() > patience_ends:
                    talk.reason = f"{self._address} accepts connections but does not answer"
                    break
                if self._birth_is_wrong and talk.alive:
                    self._birth_is_wrong = False
                    self._publish(talk, self._birth)
                if self._abort[0] == talk.generation:
                    talk.reason = self._abort[1]
                    _reset(talk.client)
                    break
                if self._closing.is_set():
                    self._farewell(talk)
                    break
        finally:
            self._down(talk)
            talk.client.on_connect = talk.client.on_disconnect = None  # the ring of references that
            talk.client.on_publish = talk.client.on_message = None  # would keep its sockets open

    def _introduce(self, talk: _Talk) -> None:
        """Subscriptions first, so that an old will that arrives late is seen; then birth."""
        for topic in self._subscriptions:
            talk.client.subscribe(topic, qos=1)
        talk.birth_mid = self._publish(talk, self._birth)

    def _up(self, talk: _Talk, lost_at: float | None) -> None:
        self._version_settled |= talk.v5
        self.trouble = None
        self.reconnects += self._was_up
        self._was_up = True
        for topic in self._followed:
            talk.client.subscribe(topic, qos=1)
        with self._states_lock:
            self._talk = talk
            for message in self._states.values():
                self._publish(talk, message)
        self._report(Up(talk.generation, talk.window, talk.max_packet))
        facts = {"broker": str(self._address), "mqtt": self.version}
        if lost_at is None:
            log.info("broker_connected", **facts)
        else:
            log.info("broker_back", after_s=round(time.monotonic() - lost_at, 1), **facts)

    def _down(self, talk: _Talk) -> None:
        with self._states_lock:
            self._talk = None
        if not talk.reason:
            talk.hung_up_on = True
            talk.reason = self._why_ended(talk)
        if talk.alive:
            self._report(Down(talk.generation, talk.reason))
        if not self._version_settled:
            self._choose_version(talk)
        _reset(talk.client)

    def _choose_version(self, talk: _Talk) -> None:
        """MQTT 5 until it is refused; left unanswered twice, 3.1.1 is tried at once, and 5 next time.

        Some brokers that only know 3.1.1 say so, others hang up or fall silent, which a network that
        is just breaking does as well.
        """
        unanswered = talk.v5 and not talk.connected and talk.refused is None
        self._unanswered = self._unanswered + 1 if unanswered else 0
        refused = talk.v5 and talk.refused == _UNSUPPORTED_VERSION
        self._version_settled |= refused
        talk.falls_back = refused or self._unanswered >= UNANSWERED
        self._v5 = not talk.falls_back

    def _farewell(self, talk: _Talk) -> None:
        """Offline, acknowledged, then a clean DISCONNECT, which spares the will."""
        if talk.alive:
            mid = self._publish(talk, self._will)
            ends = time.monotonic() + 1.0
            self._flushed.clear()
            talk.birth_mid = mid
            while not self._flushed.is_set() and time.monotonic() < ends:
                if talk.client.loop(0.05) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    break
        talk.reason = "closed"
        talk.client.disconnect()
        talk.client.loop(0.05)

    # Callbacks: note and enqueue, nothing else.

    def _on_connect(self, talk: _Talk, code: ReasonCode, properties: Properties | None) -> None:
        if code.is_failure:
            talk.refused = code.value
            talk.reason = self._why_refused(code)
            return
        talk.connected = True
        if properties is not None:
            self._window = talk.window = min(WINDOW, getattr(properties, "ReceiveMaximum", WINDOW))
            talk.max_packet = getattr(properties, "MaximumPacketSize", None)

    def _on_publish(self, talk: _Talk, mid: int, code: ReasonCode) -> None:
        if mid == talk.birth_mid:
            talk.birth_mid = 0  # mids come round again after 65535 messages
            talk.alive = True
            self._flushed.set()
        else:
            self._report(Ack(talk.generation, mid, code.value, str(code)))

    def _on_message(self, message: paho.MQTTMessage) -> None:
        if message.topic != self._birth.topic:
            self._received(message.topic, bytes(message.payload), message.retain)
        elif message.payload == self._will.payload and not (message.retain or self._closing.is_set()):
            self._birth_is_wrong = True  # the will of our former self, fired at take-over

    # Reasons in words.

    def _why_unreachable(self, exc: OSError) -> str:
        if isinstance(exc, ssl.SSLCertVerificationError):
            return (
                f"the certificate of {self._address} is not trusted: {exc.verify_message}; "
                "set mqtt.tls.ca to the CA that signed it"
            )
        if isinstance(exc, ssl.SSLError):
            return f"TLS with {self._address} failed: {exc.reason or exc}"
        if isinstance(exc, socket.gaierror):
            return f'the host name "{self._address.host}" cannot be resolved: {exc.strerror}'
        if isinstance(exc, TimeoutError):
            return f"{self._address} does not answer"
        if isinstance(exc, ConnectionRefusedError):
            return f"nothing listens at {self._address}"
        return f"{self._address}: {exc.strerror or exc}"

    def _why_refused(self, code: ReasonCode) -> str:
        if code.value not in _BAD_LOGIN:
            return f"{self._address} refused MQTT {self.version}: {code}"
        if self._settings.user is None:
            return f"{self._address} wants a user and password ({code}); set mqtt.user and mqtt.password"
        return (
            f'{self._address} refused user "{self._settings.user}" and its password ({code}); '
            "check mqtt.user and the file of mqtt.password"
        )

    def _why_ended(self, talk: _Talk) -> str:
        if talk.connected and not talk.alive:
            return f"{self._address} closed the connection right after accepting it"
        if not talk.connected:
            return f"{self._address} closed the connection without an answer to MQTT {self.version}"
        return f"{self._address} closed the connection"


def _on_disconnect(talk: _Talk, flags: paho.DisconnectFlags, code: ReasonCode) -> None:
    if talk.reason:
        return
    if flags.is_disconnect_packet_from_server:
        talk.refused = code.value
        talk.reason = f"the broker ended the connection: {code}"
        if code.value == _TAKEN_OVER:
            talk.reason = "another client with this agent's id has connected; give it its own agent.id"
    elif code.getName() == "Keep alive timeout":
        talk.reason = "no sign of life from the broker within the keep-alive"


def _nothing(*_: Any) -> None:
    """A callback that only has to exist."""


def _reset(client: paho.Client) -> None:
    """Close with RST: the kernel forgets what it has not sent yet."""
    sock = client.socket()
    if isinstance(sock, socket.socket):  # TLS sockets too; paho's type allows for its websocket
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()


def _properties(message: Message) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if message.content_type:
        properties.ContentType = message.content_type
    if message.event_id:
        properties.UserProperty = ("event_id", message.event_id)
    if message.expiry_s is not None:
        properties.MessageExpiryInterval = max(1, int(message.expiry_s))
    return properties
