"""How the loop fares: the part of `bridge/health` that it knows, and when to tell it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import structlog

from agent.core.latency import LatencyWindow
from agent.core.types import Detections
from agent.loop.load import Load

EVERY_S = 60.0
REFUSED_CHARS = 2000  # of what is wrong with the rules

log = structlog.get_logger(__name__)


class LoopHealth:
    """What happens is noted as it happens."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.blind: str | None = None  # why nothing can be recognised although there are pictures
        self._clock = clock
        self._due = clock()
        self._blind_since = 0.0
        self._refused: str | None = None  # why the rule files as they are now are not in force
        self._latency = LatencyWindow()
        self._stages: dict[str, LatencyWindow] = {}
        self._load = Load(clock())

    def note_detections(self, detections: Detections) -> None:
        """What a frame showed is handed over now."""
        self._latency.add((self._clock() - detections.at) * 1000)
        for stage, ms in detections.stage_ms.items():
            self._stages.setdefault(stage, LatencyWindow()).add(ms)

    def worked(self, took_s: float, cameras: Sequence[str]) -> None:
        """A turn over the newest frames of these cameras is over."""
        self._load.looked(self._clock(), took_s, cameras)

    def recognition(self, reason: str | None) -> bool:
        """Why nothing can be recognised, None while it can; True when that is news, to be told at once."""
        before, self.blind = self.blind, reason
        if before == reason:
            return False
        if before is None:
            self._blind_since = self._clock()
            log.warning("engine_lost", reason=reason)
        elif reason is None:
            log.info("engine_recovered", after_s=round(self._clock() - self._blind_since, 1))
        self._due = self._clock()
        return True

    def rules_judged(self, refused: str | None) -> None:
        """In the next health too, at once: whoever saved a bad file may look at no log."""
        self._refused = refused
        self._due = self._clock()

    def due(self) -> bool:
        """Whether to tell it now; then not again for a while."""
        now = self._clock()
        if now < self._due:
            return False
        self._due = now + EVERY_S
        return True

    def report(self, rules: int) -> dict[str, Any]:
        """As in `bridge/health`; `rules` is how many are in force."""
        return {
            "recognition": {"state": "online" if self.blind is None else "away", "reason": self.blind},
            "rules": {"count": rules, "refused": self._refused and self._refused[:REFUSED_CHARS]},
            "latency": self._latency.summary(),
            "load": self._load.report(self._clock()),
            "stages": {name: window.summary() for name, window in self._stages.items()},
        }
