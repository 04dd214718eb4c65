"""Broker capabilities learned from earlier connections: MQTT version, retained messages, packet size."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import structlog

from agent.delivery.mqtt import broker_errors
from agent.delivery.mqtt.address import Address
from agent.delivery.mqtt.connection import ConnectionOptions, MqttConnection

log = structlog.get_logger(__name__)

UNANSWERED = 2  # failed CONNECTs in a row after which MQTT 3.1.1, then no retain, is tried
LARGE_PACKET_FAILURES = 2  # connections in a row that ended early during a large packet
LARGE_PACKET_S = 10.0  # after it came up: a connection that lives longer did not end for its first packets
LARGE = 1024  # bytes; every broker takes this size
CEILING_S = 600.0  # a connection lost later is followed by one that tries larger packets again


class LearnedOptions:
    """Learns connection options. Used by the MQTT thread; `terms` are those for the next connection."""

    def __init__(self, broker: Address, version: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.terms = ConnectionOptions(v5=version != "3.1.1")
        self.at_once = False  # whether to try the next options without waiting
        self._broker = broker
        self._settled = version != "auto"
        self._clock = clock
        self._unanswered = 0  # CONNECTs of MQTT 5
        self._unanswered_old = 0  # CONNECTs of MQTT 3.1.1
        self._broke_while_sending = 0
        self._ceiling_at = 0.0

    def up(self, connection: MqttConnection) -> None:
        """Note a successful connection; log what the broker lacks."""
        self.terms = replace(self.terms, window=connection.window)
        self._unanswered_old = 0 if self.terms.retain else 1  # one failure is enough next time
        if not connection.limits.retain:
            log.warning("broker_without_retain", broker=str(self._broker), means=broker_errors.NO_RETAIN)
        if connection.limits.qos == 0:
            log.warning("broker_without_qos1", broker=str(self._broker), means=broker_errors.NO_QOS)
        if connection.limits.packet_bytes is not None:
            log.info("broker_limits_packets", broker=str(self._broker), bytes=connection.limits.packet_bytes)

    def ended(self, connection: MqttConnection, reason: str) -> str:
        """Update the options from how a connection ended; return the reason in words."""
        before, self.at_once = self.terms, False
        self._judge_version(connection)
        if connection.online and not (self.terms.retain and self.terms.will_qos):
            self.terms = replace(self.terms, retain=True, will_qos=1)  # the broker may have been reconfigured
        if connection.refused == broker_errors.NO_RETAIN_CODE:
            self.terms = replace(self.terms, retain=False)
        elif connection.refused == broker_errors.NO_QOS_CODE:
            self.terms = replace(self.terms, will_qos=0)
        elif not connection.v5:
            reason = self._judge_retain(connection, reason)
        less = (self.terms.retain, self.terms.will_qos) < (before.retain, before.will_qos)
        self.at_once = self.at_once or less
        return self._judge_size(connection, reason)

    def suspects_size(self, connection: MqttConnection) -> bool:
        """Return whether that connection may have ended because of a too large packet."""
        early = (
            connection.closed_by_broker
            and connection.online
            and connection.online_s < LARGE_PACKET_S
            and not connection.v5
        )
        return early and connection.largest_in_flight > LARGE

    def _judge_version(self, connection: MqttConnection) -> None:
        """Use MQTT 5 until it is refused; after two unanswered CONNECTs try 3.1.1 at once, and 5 next time.

        Some brokers that only know 3.1.1 say so, others close the connection or stay silent, which a
        failing network does as well.
        """
        if self._settled:
            return
        refused = connection.v5 and connection.refused == broker_errors.UNSUPPORTED_VERSION
        unanswered = connection.v5 and _unanswered(connection)
        self._settled = refused or (connection.v5 and connection.online)
        self._unanswered = self._unanswered + 1 if unanswered else 0
        falls_back = refused or self._unanswered >= UNANSWERED
        self.terms, self.at_once = replace(self.terms, v5=not falls_back), falls_back

    def _judge_retain(self, connection: MqttConnection, reason: str) -> str:
        """Detect a 3.1.1 broker without retained messages: it rejects a retained last will by hanging up."""
        if not _unanswered(connection):
            return reason
        self._unanswered_old += 1
        without = self._unanswered_old >= UNANSWERED and self._unanswered_old % 2 == 0
        self.terms = replace(self.terms, retain=not without)
        return f"{reason}; {broker_errors.MAYBE_NO_RETAIN}" if self._unanswered_old >= UNANSWERED else reason

    def _judge_size(self, connection: MqttConnection, reason: str) -> str:
        """Detect the packet limit of a 3.1.1 broker, which closes the connection on larger packets."""
        size, now = connection.largest_in_flight, self._clock()
        too_large = connection.refused == broker_errors.TOO_LARGE_CODE
        self._broke_while_sending = (
            self._broke_while_sending + 1 if too_large or self.suspects_size(connection) else 0
        )
        if size > LARGE and (too_large or self._broke_while_sending >= LARGE_PACKET_FAILURES):
            self.terms, self._ceiling_at = replace(self.terms, packet_bytes=size - 1), now
            self._broke_while_sending = 0
            return broker_errors.broke_while_sending(reason, size, CEILING_S)
        if self.terms.packet_bytes is not None and now - self._ceiling_at > CEILING_S:
            self.terms = replace(self.terms, packet_bytes=None)
        return reason


def _unanswered(connection: MqttConnection) -> bool:
    return connection.connect_sent and not connection.connected and connection.refused is None
