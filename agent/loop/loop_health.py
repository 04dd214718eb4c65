"""Health of the main loop: its part of `bridge/health`, and when that is published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import structlog

from agent.core.latency import LatencyWindow
from agent.core.types import Detections
from agent.loop.load import Load

EVERY_S = 60.0
REFUSED_CHARS = 2000  # of the problems of rejected rules

log = structlog.get_logger(__name__)


class LoopHealth:
    """Collects the loop's health figures as they occur."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.blind: str | None = None  # why nothing is recognised although frames arrive
        self._clock = clock
        self._due = clock()
        self._blind_since = 0.0
        self._refused: str | None = None  # why the current rule files are not in effect
        self._latency = LatencyWindow()
        self._stages: dict[str, LatencyWindow] = {}
        self._load = Load(clock())

    def note_detections(self, detections: Detections) -> None:
        """Record that a frame's detections were handed over."""
        self._latency.add((self._clock() - detections.at) * 1000)
        for stage, ms in detections.stage_ms.items():
            self._stages.setdefault(stage, LatencyWindow()).add(ms)

    def record_step(self, took_s: float, cameras: Sequence[str]) -> None:
        """Record a recognition step of `took_s` seconds over the newest frames of `cameras`."""
        self._load.record(self._clock(), took_s, cameras)

    def recognition(self, reason: str | None) -> bool:
        """Record why recognition fails, None where it works; return whether that changed."""
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
        """Record why the rule files were rejected, None where not; makes health due at once."""
        self._refused = refused
        self._due = self._clock()

    def due(self) -> bool:
        """Whether health is to be published now; resets the interval."""
        now = self._clock()
        if now < self._due:
            return False
        self._due = now + EVERY_S
        return True

    def report(self, rules: int) -> dict[str, Any]:
        """Return the loop's part of `bridge/health`; `rules` is the number of active rules."""
        return {
            "recognition": {"state": "online" if self.blind is None else "away", "reason": self.blind},
            "rules": {"count": rules, "refused": self._refused and self._refused[:REFUSED_CHARS]},
            "latency": self._latency.summary(),
            "load": self._load.report(self._clock()),
            "stages": {name: window.summary() for name, window in self._stages.items()},
        }
