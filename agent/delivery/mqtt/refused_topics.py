"""Topics that are not published or not subscribed: too large, not allowed, refused. For health."""

from __future__ import annotations

import threading
from collections import deque

import structlog

log = structlog.get_logger(__name__)

SHOWN, SHOWN_CHARS = 5, 120  # topics in `bridge/health`, and characters of each reason
REMEMBERED = 500  # topics
REFUSED = 128  # reason codes from here on are failures (MQTT 5.0, 2.4)
PATIENCE = 20  # checks of an answer whose message another thread is just sending


class RefusedTopics:
    """Records refused topics.

    `answered` runs in callbacks and only notes; `settle` runs in the MQTT thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reasons: dict[str, str] = {}  # by topic
        self._sent: dict[int, str] = {}  # topic by mid, until it is answered
        self._answers: deque[tuple[int, int, str, int]] = deque(maxlen=1000)  # mid, code, reason, looks

    @property
    def reasons(self) -> dict[str, str]:
        """Refused topics and reasons; a snapshot of the first few."""
        with self._lock:
            first = list(self._reasons.items())[:SHOWN]
        return {topic[:SHOWN_CHARS]: reason[:SHOWN_CHARS] for topic, reason in first}

    @property
    def count(self) -> int:
        """Number of refused topics."""
        return len(self._reasons)

    def note(self, topic: str, reason: str) -> None:
        """Record a topic and log it if the reason is new."""
        with self._lock:
            news = self._reasons.get(topic) != reason and len(self._reasons) < REMEMBERED
            if news:
                self._reasons[topic] = reason
        if news:
            log.warning("message_left_out", topic=_plain(topic[:200]), reason=reason)

    def clear(self, topic: str) -> None:
        """Remove a topic that succeeded or is no longer used."""
        with self._lock:
            self._reasons.pop(topic, None)

    def sent(self, mid: int, topic: str, qos: int) -> None:
        """Note the mid of a sent message, to match the broker's answer to its topic."""
        if qos == 0:
            self.clear(topic)
        else:
            with self._lock:
                self._sent[mid] = topic

    def answered(self, mid: int, code: int, reason: str) -> None:
        """Note the answer to any message. Called inside a callback."""
        self._answers.append((mid, code, reason, 0))

    def settle(self) -> None:
        """Evaluate the noted answers."""
        for _ in range(len(self._answers)):
            mid, code, reason, looks = self._answers.popleft()
            with self._lock:
                topic = self._sent.pop(mid, None)
            if topic is not None and code >= REFUSED:
                self.note(topic, f"the broker refused it: {reason}")
            elif topic is not None:
                self.clear(topic)
            elif code >= REFUSED and looks < PATIENCE:
                self._answers.append((mid, code, reason, looks + 1))

    def on_connected(self) -> None:
        """Reset message ids for a new connection."""
        with self._lock:
            self._sent.clear()
            self._answers.clear()


def _plain(topic: str) -> str:
    """Make a text safe for logs."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in topic)
