"""What is not published or not heard although it should be: too large, not allowed, refused. For health."""

from __future__ import annotations

import threading
from collections import deque

import structlog

log = structlog.get_logger(__name__)

SHOWN, SHOWN_CHARS = 5, 120  # topics in `bridge/health`, and letters of each reason: it has to fit as well
REMEMBERED = 500  # topics
REFUSED = 128  # reason codes from here on are failures (MQTT 5.0, 2.4)
PATIENCE = 20  # looks at an answer whose question is not known yet: another thread is just sending it


class LeftOut:
    """`answered` runs in callbacks and only notes; `settle` runs in the MQTT thread; the rest anywhere."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reasons: dict[str, str] = {}  # by topic
        self._sent: dict[int, str] = {}  # topic by mid, until it is answered
        self._answers: deque[tuple[int, int, str, int]] = deque(maxlen=1000)  # mid, code, reason, looks

    @property
    def reasons(self) -> dict[str, str]:
        """By topic; a snapshot of the first few."""
        with self._lock:
            first = list(self._reasons.items())[:SHOWN]
        return {topic[:SHOWN_CHARS]: reason[:SHOWN_CHARS] for topic, reason in first}

    @property
    def count(self) -> int:
        """How many topics there are."""
        return len(self._reasons)

    def note(self, topic: str, reason: str) -> None:
        """This one is left out; told in the log when that is news."""
        with self._lock:
            news = self._reasons.get(topic) != reason and len(self._reasons) < REMEMBERED
            if news:
                self._reasons[topic] = reason
        if news:
            log.warning("message_left_out", topic=_plain(topic[:200]), reason=reason)

    def clear(self, topic: str) -> None:
        """It got through, or nobody wants it any more."""
        with self._lock:
            self._reasons.pop(topic, None)

    def sent(self, mid: int, topic: str, qos: int) -> None:
        """It passed the gate; whether the broker takes it is known when it answers."""
        if qos == 0:
            self.clear(topic)
        else:
            with self._lock:
                self._sent[mid] = topic

    def answered(self, mid: int, code: int, reason: str) -> None:
        """Of any message. Inside a callback."""
        self._answers.append((mid, code, reason, 0))

    def settle(self) -> None:
        """Draw the conclusions of what was answered."""
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

    def connected_anew(self) -> None:
        """Message ids begin again."""
        with self._lock:
            self._sent.clear()
            self._answers.clear()


def _plain(topic: str) -> str:
    """What of it a log can bear."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in topic)
