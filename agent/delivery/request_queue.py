"""Queue of requests for the main loop: bounded, merged, and rate-limited.

Any client on the broker may send requests at any rate. The loop gets a few a second: all that ask for
a reload, a health report or a restart share one execution and each gets an answer; of `enabled` only
the newest value counts. `OFF` is never delayed, for privacy.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from agent.core.pace import Pace
from agent.delivery.requests import ENABLE, Request

WAITING = 16  # requests of one name
MERGED = ("reload", "health", "restart")  # one execution serves all that wait
PACES = {  # name: burst, then one every so many seconds
    ENABLE: (5, 1.0),
    "reload": (5, 1.0),
    "health": (10, 0.5),
    "test_rule": (10, 0.5),
    "restart": (3, 10.0),
}


class TooManyRequestsError(Exception):
    """Raised when the maximum number of requests is waiting."""


class RequestQueue:
    """Request queue, filled by the MQTT thread and emptied by the loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Request]] = {}
        self._paces = {name: Pace(*pace) for name, pace in PACES.items()}

    def put(self, request: Request) -> None:
        """Add a request. Raises `TooManyRequestsError` when the queue is full.

        A new `enabled` replaces a waiting one and never raises.
        """
        with self._lock:
            if request.name == ENABLE:
                self._waiting[ENABLE] = deque([request])
                return
            waiting = self._waiting.setdefault(request.name, deque())
            if len(waiting) >= WAITING:
                raise TooManyRequestsError
            waiting.append(request)

    def take(self) -> Request | None:
        """Return the next due request, with merged transactions in `also`; None when none is due."""
        with self._lock:
            now = self._clock()
            for name, waiting in list(self._waiting.items()):
                if not (_is_off(waiting[0]) or self._paces[name].take(now)):
                    continue
                del self._waiting[name]
                first = waiting.popleft()
                if name in MERGED:
                    return replace(first, also=tuple(other.transaction for other in waiting))
                if waiting:
                    self._waiting[name] = waiting  # behind the other names
                return first
            return None


def _is_off(request: Request) -> bool:
    return request.name == ENABLE and not request.data["on"]
