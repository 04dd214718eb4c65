"""Counters of refused web requests, logged by kind at once and then once a minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import structlog

AGAIN_S = 60.0

Reason: TypeAlias = Literal[
    "host",  # wrong Host header
    "origin",  # request from another origin
    "token",  # a wrong token
    "attempts",  # too many wrong tokens
    "large",  # request body too large
    "malformed",  # not HTTP, or an invalid handshake
    "slow",  # incomplete request
    "connections",  # too many connections
    "failed",  # internal error
]
REASONS: tuple[Reason, ...] = Reason.__args__  # type: ignore[attr-defined]

log = structlog.get_logger(__name__)


class Refusals:
    """Counts refused requests by kind. Used by the web thread only."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.counts: Counter[Reason] = Counter(dict.fromkeys(REASONS, 0))
        self._clock = clock
        self._told: dict[Reason, tuple[float, int]] = {}  # when, and the count at that time

    def note(self, reason: Reason, **facts: Any) -> None:
        """Count a refusal, and log it unless its kind was logged within `AGAIN_S` seconds."""
        self.counts[reason] += 1
        at, before = self._told.get(reason, (float("-inf"), 0))
        if self._clock() - at < AGAIN_S:
            return
        self._told[reason] = self._clock(), self.counts[reason]
        unsaid = self.counts[reason] - before - 1
        more = {"unsaid": unsaid} if unsaid else {}
        log.warning("web_refused", reason=reason, **facts, **more)
