"""Rate-limited log of incoming messages that cannot be used: once per topic and reason."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

import structlog

from agent.core.pace import Pace

log = structlog.get_logger(__name__)

BURST, EVERY_S = 10, 10.0  # burst of log lines, and seconds between two under a flood
REMEMBERED = 200  # topics that are remembered
AGAIN_S = 3600.0  # seconds after which a repeated reason is logged again


class InvalidMessageLog:
    """Logs unusable messages once per topic and reason.

    Used by the MQTT thread; `count` counts all of them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.count = 0
        self._clock = clock
        self._pace = Pace(BURST, EVERY_S)
        self._told: OrderedDict[str, tuple[str, float]] = OrderedDict()  # topic: reason and when
        self._held_back = 0

    def warn(self, event: str, topic: str, reason: str) -> None:
        """Log the reason, unless it was logged for this topic already or the rate limit is reached."""
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

    def reset(self, topic: str) -> None:
        """Mark the topic as usable again, so that the next fault on it is logged."""
        self._told.pop(topic, None)
