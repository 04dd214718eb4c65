"""Wanted topic filters by owner; one is dropped when no owner wants it any more."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from paho.mqtt.client import topic_matches_sub


class Subscriptions:
    """Registry of wanted topic filters. `want` from any thread; the MQTT thread applies `changes`."""

    def __init__(self, fixed: Iterable[str]) -> None:
        """`fixed` filters are subscribed to on every connection, before anything is published."""
        self.fixed = frozenset(fixed)
        self._lock = threading.Lock()
        self._wanted: dict[str, frozenset[str]] = {}  # by owner
        self._fresh: set[str] = set()  # subscribe, even again: a new owner wants the retained message too

    def want(self, owner: str, topics: Iterable[str]) -> None:
        """Replace the topic filters of this owner."""
        with self._lock:
            before, now = self._wanted.get(owner, frozenset()), frozenset(topics)
            self._wanted[owner] = now
            self._fresh |= now - before

    def changes(self, present: AbstractSet[str]) -> tuple[list[str], list[str]]:
        """Return what to subscribe to and what to unsubscribe from, given the `present` subscriptions."""
        with self._lock:
            wanted = {topic for topics in self._wanted.values() for topic in topics}
            needed = {topic for topic in wanted if not self._covered(topic)}
            fresh = (needed - present) | (self._fresh & needed)
            self._fresh.clear()
            return sorted(fresh), sorted(present - needed - self.fixed)

    def _covered(self, topic: str) -> bool:
        """True if a fixed wildcard covers it: some brokers deliver overlapping subscriptions twice."""
        return topic not in self.fixed and any(topic_matches_sub(fixed, topic) for fixed in self.fixed)
