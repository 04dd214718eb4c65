"""Subscriptions of one connection: kept in line with what is wanted, refusals recorded."""

from __future__ import annotations

from collections import deque
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.reasoncodes import ReasonCode

from agent.delivery.mqtt.packet_checks import Limits, topic_fault
from agent.delivery.mqtt.refused_topics import REFUSED, RefusedTopics
from agent.delivery.mqtt.subscriptions import Subscriptions


class SubscriptionSync:
    """Subscribes and unsubscribes on one connection. For the MQTT thread; `on_suback` is paho's callback."""

    def __init__(self, client: paho.Client, wanted: Subscriptions, left_out: RefusedTopics) -> None:
        self._client, self._wanted, self._left_out = client, wanted, left_out
        self._present: set[str] = set()
        self._asked: dict[int, str] = {}  # filter by mid, until the broker answers
        self._refused: deque[tuple[str, str]] = deque(maxlen=1000)  # filter, why

    def begin(self, limits: Limits) -> None:
        """Subscribe to the fixed topic filters."""
        for topic in sorted(self._wanted.fixed):
            self._subscribe(topic, limits)

    def sync(self, limits: Limits) -> None:
        """Subscribe to newly wanted topics and unsubscribe from others."""
        more, less = self._wanted.changes(self._present)
        for topic in more:
            self._subscribe(topic, limits)
        for topic in less:
            self._client.unsubscribe(topic)
            self._present.discard(topic)
            self._left_out.clear(topic)
        while self._refused:
            topic, reason = self._refused.popleft()
            self._left_out.note(topic, f"not subscribed, the broker refused it: {reason}")

    def on_suback(
        self, _client: Any, _user: Any, mid: int, codes: list[ReasonCode], _properties: Any
    ) -> None:
        """Process a SUBACK."""
        topic = self._asked.pop(mid, None)
        if topic is not None and codes and codes[0].value >= REFUSED:
            self._refused.append((topic, str(codes[0])))

    def _subscribe(self, topic: str, limits: Limits) -> None:
        self._present.add(topic)
        fault = topic_fault(topic)
        if fault is None and not limits.wildcards and set(topic) & set("+#"):
            fault = "the broker takes no wildcards in subscriptions"
        if fault is not None:
            self._left_out.note(topic, f"not subscribed: {fault}")
            return
        mid = self._client.subscribe(topic, qos=1)[1]
        if mid is not None:
            self._asked[mid] = topic
