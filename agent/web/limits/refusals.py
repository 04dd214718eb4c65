"""Visitors that were refused, in the log and as figures: each kind is told at once, then once a minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import structlog

AGAIN_S = 60.0

Reason: TypeAlias = Literal[
    "host",  # the name that the browser asked for is not ours
    "origin",  # a page of another site
    "token",  # a wrong one
    "attempts",  # too many of those
    "large",  # a request with too much in it
    "malformed",  # not HTTP, or a handshake that is none
    "slow",  # a request that did not come to an end
    "connections",  # too many at once
    "failed",  # our fault
]
REASONS: tuple[Reason, ...] = Reason.__args__  # type: ignore[attr-defined]

log = structlog.get_logger(__name__)


class Refusals:
    """Lives in the web thread alone."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.counts: Counter[Reason] = Counter(dict.fromkeys(REASONS, 0))
        self._clock = clock
        self._told: dict[Reason, tuple[float, int]] = {}  # when, and how many there were by then

    def note(self, reason: Reason, **facts: Any) -> None:
        """Count one, and tell it unless its kind was told within `AGAIN_S`."""
        self.counts[reason] += 1
        at, before = self._told.get(reason, (float("-inf"), 0))
        if self._clock() - at < AGAIN_S:
            return
        self._told[reason] = self._clock(), self.counts[reason]
        unsaid = self.counts[reason] - before - 1
        more = {"unsaid": unsaid} if unsaid else {}
        log.warning("web_refused", reason=reason, **facts, **more)
