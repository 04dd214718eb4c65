"""Requests that wait for the loop: bounded, merged, and handed out at a limited rate.

Anyone on the broker may ask as often as he likes. Whatever he does, the loop gets a few requests a
second: all that ask for a reload, a health report or a restart share one execution and each is
answered; of the switch only the newest position counts. `OFF` is never held back, it is privacy.
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
PACES = {  # name: how many at once, then one every so many seconds
    ENABLE: (5, 1.0),
    "reload": (5, 1.0),
    "health": (10, 0.5),
    "test_rule": (10, 0.5),
    "restart": (3, 10.0),
}


class TooManyRequestsError(Exception):
    """As many as are kept wait already."""


class RequestQueue:
    """Filled by the MQTT thread, emptied by the loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Request]] = {}
        self._paces = {name: Pace(*pace) for name, pace in PACES.items()}

    def put(self, request: Request) -> None:
        """Raises `TooManyRequestsError`; never for the switch: its newest position replaces what waits."""
        with self._lock:
            if request.name == ENABLE:
                self._waiting[ENABLE] = deque([request])
                return
            waiting = self._waiting.setdefault(request.name, deque())
            if len(waiting) >= WAITING:
                raise TooManyRequestsError
            waiting.append(request)

    def take(self) -> Request | None:
        """The next one that is due, with all that are merged into it in `also`; None when none is."""
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
