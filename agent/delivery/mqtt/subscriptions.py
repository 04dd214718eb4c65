"""Which topics are listened to, and on whose behalf: one is left when nobody wants it any more."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from paho.mqtt.client import topic_matches_sub


class Subscriptions:
    """`want` from any thread; the MQTT thread brings the connection in line with `changes`."""

    def __init__(self, fixed: Iterable[str]) -> None:
        """`fixed` filters are subscribed to on every connection, before anything else is said."""
        self.fixed = frozenset(fixed)
        self._lock = threading.Lock()
        self._wanted: dict[str, frozenset[str]] = {}  # by owner
        self._fresh: set[str] = set()  # subscribe, even again: a new owner wants the retained message too

    def want(self, owner: str, topics: Iterable[str]) -> None:
        """All that this owner wants from now on, instead of what it wanted before."""
        with self._lock:
            before, now = self._wanted.get(owner, frozenset()), frozenset(topics)
            self._wanted[owner] = now
            self._fresh |= now - before

    def changes(self, present: AbstractSet[str]) -> tuple[list[str], list[str]]:
        """What to subscribe to and what to leave, where `present` is subscribed to already."""
        with self._lock:
            wanted = {topic for topics in self._wanted.values() for topic in topics}
            needed = {topic for topic in wanted if not self._covered(topic)}
            fresh = (needed - present) | (self._fresh & needed)
            self._fresh.clear()
            return sorted(fresh), sorted(present - needed - self.fixed)

    def _covered(self, topic: str) -> bool:
        """By a fixed wildcard: subscribed to twice, some brokers deliver a message twice."""
        return topic not in self.fixed and any(topic_matches_sub(fixed, topic) for fixed in self.fixed)
