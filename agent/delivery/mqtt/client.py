"""MQTT client with reconnection: one thread, one `MqttConnection` after the other."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import structlog

from agent.config.settings import MqttSettings
from agent.delivery.link import LinkDown, LinkEvent, LinkUp
from agent.delivery.message import Message
from agent.delivery.mqtt import broker_errors
from agent.delivery.mqtt.address import address, password, tls_context
from agent.delivery.mqtt.connection import ConnectionParams, MqttConnection, Received
from agent.delivery.mqtt.id_lease import LeaseHolder
from agent.delivery.mqtt.learned_options import LearnedOptions
from agent.delivery.mqtt.packet_checks import Limits, PublishError
from agent.delivery.mqtt.refused_topics import RefusedTopics
from agent.delivery.mqtt.subscriptions import Subscriptions
from agent.errors import BrokerLost
from agent.supervision import Threads

log = structlog.get_logger(__name__)

FIRST_RETRY_S, LAST_RETRY_S = 0.25, 2.0  # keep-alive is short because a gesture expires after 5 s
REFUSED_RETRY_S = 30.0  # a wrong password stays wrong for a while
STABLE_S = 10.0  # a connection that lasts longer resets the backoff
PATIENCE_S = 90.0  # for one connect: name lookup, TCP, TLS
ID_CONFLICT = 3  # short connections in a row that suggest another client with our id
ID_CONFLICT_RETRY_S = 5.0  # two agents with one id disconnect each other; not too fast


class MqttClient:
    """MQTT client whose publishers never block; `report` and `received` are called in its thread."""

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
        leases: LeaseHolder | None = None,
        threads: Threads | None = None,
        on_limits: Callable[[Limits], None] = lambda _limits: None,
    ) -> None:
        """Prepare the client; `start` connects.

        `on_limits` is called with the broker's limits before any state is published on a connection.
        Raises `CannotStart` for a wrong URL, certificates or password file.
        """
        broker = address(settings.url)
        tls = tls_context(settings.tls) if broker.tls else None
        password(settings)
        self._subscriptions = Subscriptions((*subscriptions, *([leases.topic] if leases else [])))
        self._left_out = RefusedTopics()
        self._params = ConnectionParams(
            settings,
            broker,
            tls,
            client_id,
            birth,
            will,
            self._subscriptions,
            report,
            received,
            self._first_states,
            leases,
            self._left_out,
        )
        self._on_limits = on_limits
        self._client_id = client_id
        self._states: dict[str, Message] = {}
        self._first: set[str] = set()  # topics of states that are published before "online"
        self._told_first: dict[str, Message] = {}  # on the present connection
        self._states_lock = threading.Lock()
        self._learned = LearnedOptions(broker, settings.version)
        self._connection: MqttConnection | None = None  # the one that is alive
        self._generation = 0
        self._abort = (0, "")  # generation of the connection to cut, and why
        self._was_up = False
        self._short_connections = 0
        self._closing = threading.Event()
        self._thread = (threads or Threads()).thread("mqtt", self._run)
        self.reconnects = 0
        self.trouble: str | None = "not connected yet"

    @property
    def connected(self) -> bool:
        """True once the broker has acknowledged the birth message of the present connection."""
        return self._connection is not None

    @property
    def version(self) -> str:
        """MQTT version of the present or last connection."""
        connection = self._connection
        return connection.version if connection is not None else ("5" if self._learned.terms.v5 else "3.1.1")

    @property
    def limits(self) -> Limits:
        """Limits of the present broker; no limits while there is none."""
        connection = self._connection
        return connection.limits if connection is not None else Limits()

    @property
    def left_out(self) -> dict[str, str]:
        """Topics that are not published or not subscribed, and why: the first few."""
        return self._left_out.reasons

    @property
    def left_out_count(self) -> int:
        """Number of topics that are not published or not subscribed."""
        return self._left_out.count

    def start(self) -> None:
        """Start the thread and return at once; it connects when it can."""
        if self._params.tls is not None and not self._params.settings.tls.verify:
            log.warning(
                "broker_not_verified", broker=str(self._params.broker), fix="set mqtt.tls.verify = true"
            )
        self._thread.start()

    def close(self, limit_s: float) -> None:
        """Publish offline, disconnect, end the thread; give up after `limit_s` seconds."""
        self._closing.set()
        self._thread.join(limit_s)

    def abort(self, generation: int, reason: str) -> None:
        """Cut that connection, so that what lies in its buffers is not delivered late."""
        self._abort = (generation, reason)

    def publish(self, message: Message, generation: int | None = None) -> int | None:
        """Publish a message; return its mid, or None when that connection (None: any) is not up.

        Raises `PublishError` (a `ValueError`) for what this broker would not take.
        """
        connection = self._connection
        if connection is None or (generation is not None and connection.generation != generation):
            return None
        return connection.publish(message)

    def probe(self, generation: int) -> None:
        """Ask whether the broker responds; `ProbeAnswered` is reported when it does."""
        connection = self._connection
        if connection is not None and connection.generation == generation:
            connection.probe()

    def publish_best_effort(self, message: Message) -> str | None:
        """Publish a message best-effort: dropped while the broker is away, no acknowledgement awaited.

        Returns why the broker would not take it, which health reports too; None on success.
        """
        connection = self._connection
        return connection.publish_best_effort(message) if connection is not None else None

    def follow(self, owner: str, topics: Iterable[str]) -> None:
        """Replace the subscriptions of that owner, now and at every reconnection."""
        self._subscriptions.want(owner, topics)

    def publish_state(self, message: Message, *, first: bool = False) -> None:
        """Publish a state now if the broker is connected, and again after every reconnection.

        `first`: before the birth message, so that subscribers never see an outdated state of an online agent.
        """
        with self._states_lock:
            if first:
                self._first.add(message.topic)
            self._states[message.topic] = message
            if self._connection is not None:
                self._connection.publish_best_effort(message)

    def drop_state(self, topic: str) -> None:
        """Stop publishing that state; the broker keeps what it retains."""
        with self._states_lock:
            self._states.pop(topic, None)
        self._left_out.clear(topic)

    def republish_states(self) -> None:
        """Publish all states again, for a subscriber that has just started."""
        with self._states_lock:
            if self._connection is not None:
                for message in self._states.values():
                    self._connection.publish_best_effort(message)

    def _first_states(self) -> list[Message]:
        """States to publish before the birth message. Called in the MQTT thread."""
        with self._states_lock:
            self._told_first = {topic: self._states[topic] for topic in self._states if topic in self._first}
            return list(self._told_first.values())

    # The MQTT thread.

    def _run(self) -> None:
        retry_s, lost_at, said = FIRST_RETRY_S, None, ""
        while not self._closing.is_set():
            began = time.monotonic()
            self._generation += 1
            connection = MqttConnection(self._params, self._generation, self._learned.terms)
            reason = self._run_connection(connection, lost_at)
            if self._closing.is_set():
                return
            if connection.yielded is not None:
                said = self._wait_for_id(connection, said)
                lost_at = lost_at or began
                continue
            if connection.online:
                said, lost_at, retry_s = "", time.monotonic(), FIRST_RETRY_S
                reason = self._suspect_id_conflict(connection, lost_at - began)
            reason = self._learned.ended(connection, reason)
            if self._learned.at_once:
                continue
            if reason != said:
                log.warning("broker_lost", reason=reason, broker=str(self._params.broker))
            self.trouble = said = reason
            lost_at = lost_at or began
            self._wait(self._wait_s(connection, retry_s))
            retry_s = min(LAST_RETRY_S, retry_s * 2)

    def _run_connection(self, connection: MqttConnection, lost_at: float | None) -> str:
        """Run one connection from CONNECT to its end; return why it ended."""
        try:
            self._thread.moves(PATIENCE_S)
            connection.connect()
            while connection.step() and not self._is_to_end(connection):
                self._thread.moves()
                if connection.online and self._connection is None:
                    self._up(connection, lost_at)
                if connection.wants_republish():
                    self.republish_states()
        except BrokerLost as exc:
            connection.reason = str(exc)
        except PublishError as exc:
            connection.reason = f"{self._params.broker} would not take CONNECT: {exc}"
        except Exception as exc:  # what a broker sends must not end this thread
            log.exception("mqtt_failed")
            connection.reason = f"{type(exc).__name__}: {exc}"
        finally:
            self._down(connection)
        return connection.reason

    def _wait_for_id(self, connection: MqttConnection, said: str) -> str:
        """Wait while another agent holds our id, then ask again; return what was logged about it."""
        leases = self._params.leases
        if leases is None:
            return said
        leases.released()
        if connection.reason != said:
            log.error("agent_id_taken", id=leases.agent, reason=connection.reason)
        self.trouble = connection.reason
        self._wait(leases.retry_s * random.uniform(0.8, 1.2))  # noqa: S311 (no secret)
        return connection.reason

    def _wait(self, seconds: float) -> None:
        """Sleep unless the client is being closed."""
        self._thread.moves(seconds + PATIENCE_S)
        self._closing.wait(seconds)

    def _is_to_end(self, connection: MqttConnection) -> bool:
        generation, reason = self._abort
        if generation == connection.generation:
            connection.reason = reason
            return True
        if self._closing.is_set():
            connection.disconnect()
            return True
        return False

    def _up(self, connection: MqttConnection, lost_at: float | None) -> None:
        self.trouble = None
        if self._params.leases is not None:
            self._params.leases.acquired()
        self.reconnects += self._was_up
        self._was_up = True
        self._learned.up(connection)
        self._left_out.on_connected()
        self._on_limits(connection.limits)
        with self._states_lock:
            self._connection = connection
            for topic, message in self._states.items():
                if self._told_first.get(topic) is not message:
                    connection.publish_best_effort(message)
        self._params.report(LinkUp(connection.generation, connection.window, connection.limits.packet_bytes))
        facts = {"broker": str(self._params.broker), "mqtt": connection.version}
        if lost_at is None:
            log.info("broker_connected", **facts)
        else:
            log.info("broker_reconnected", after_s=round(time.monotonic() - lost_at, 1), **facts)

    def _down(self, connection: MqttConnection) -> None:
        with self._states_lock:
            self._connection = None
        connection.close()
        if connection.online:
            self._params.report(LinkDown(connection.generation, connection.reason))

    def _suspect_id_conflict(self, connection: MqttConnection, online_s: float) -> str:
        """Use another client id after repeated take-overs, so that both agents connect and negotiate."""
        short = (
            connection.closed_by_broker
            and online_s < STABLE_S
            and not self._learned.suspects_size(connection)
        )
        self._short_connections = self._short_connections + 1 if short else 0
        if connection.refused == broker_errors.TAKEN_OVER or self._short_connections >= ID_CONFLICT:
            aside = f"{self._client_id}-{uuid.uuid4().hex[:6]}"
            self._params = replace(self._params, client_id=aside)
        if self._short_connections < ID_CONFLICT:
            return connection.reason
        return broker_errors.disconnected_repeatedly(
            connection.reason, self._short_connections, self._params.client_id
        )

    def _wait_s(self, connection: MqttConnection, usual_s: float) -> float:
        """Seconds to wait before reconnecting, with jitter so that a fleet does not reconnect at once."""
        if connection.refused in broker_errors.BAD_LOGIN:
            usual_s = REFUSED_RETRY_S
        elif self._short_connections >= ID_CONFLICT:
            usual_s = ID_CONFLICT_RETRY_S
        return usual_s * random.uniform(0.8, 1.2)  # noqa: S311 (no secret)
