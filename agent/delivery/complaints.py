"""What comes in and cannot be used: told in the log once, and again when the reason changes."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

import structlog

from agent.core.pace import Pace

log = structlog.get_logger(__name__)

BURST, EVERY_S = 10, 10.0  # log lines at once, and seconds between two when somebody floods us
REMEMBERED = 200  # topics
AGAIN_S = 3600.0  # the same about the same topic is worth another line after so long


class Complaints:
    """Used by the MQTT thread. `count` is how often there was reason to complain."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.count = 0
        self._clock = clock
        self._pace = Pace(BURST, EVERY_S)
        self._told: OrderedDict[str, tuple[str, float]] = OrderedDict()  # topic: reason and when
        self._held_back = 0

    def tell(self, event: str, topic: str, reason: str) -> None:
        """A log line, unless this was told of this topic, or too many were written lately."""
        self.count += 1
        now = self._clock()
        before, at = self._told.get(topic, ("", 0.0))
        if before == reason and now - at < AGAIN_S:
            return
        if not self._pace.take(now):
            self._held_back += 1
            return
        self._told[topic] = (reason, now)
        self._told.move_to_end(topic)
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        more = {"held_back": self._held_back} if self._held_back else {}
        self._held_back = 0
        log.warning(event, topic=topic[:100], reason=reason, **more)

    def settled(self, topic: str) -> None:
        """What came on that topic can be used: the next one that cannot is news."""
        self._told.pop(topic, None)
