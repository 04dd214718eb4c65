"""Contents of `bridge/info` (build and host) and `bridge/health` (runtime state)."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent import __version__
from agent.capture.supervisor import CameraSupervisor
from agent.config.settings import Settings
from agent.config.trace_settings import fingerprint
from agent.core.rules import RuleSet
from agent.core.types import NO_GESTURE
from agent.delivery.delivery import Delivery
from agent.inference.recognizer import Recognizer
from agent.loop.loop import Loop
from agent.service.sink import LOST


def gestures_of(recognizer: Recognizer) -> list[str]:
    """Gestures that can be recognized."""
    return [label for label in recognizer.labels if label != NO_GESTURE]


def info(
    settings: Settings, recognizer: Recognizer, rule_set: RuleSet, backend: str, backend_why: str
) -> dict[str, Any]:
    """Payload of `bridge/info`: versions, networks, gestures, host."""
    return {
        "version": __version__,
        "config": fingerprint(settings),
        "backend": backend,
        "backend_why": backend_why,
        "backends": recognizer.backends,
        "models": recognizer.models,
        "gestures": gestures_of(recognizer),
        "rules": [rule.id for rule in rule_set.rules],
        "cameras": list(settings.camera),
    }


class HealthReporter:
    """Builds health reports; measures uptime from its creation. `cameras` may be filled later."""

    def __init__(self, cameras: Mapping[str, CameraSupervisor]) -> None:
        self._cameras, self._began = cameras, time.monotonic()
        self.unused_gpu: str | None = None  # one sentence; set once the networks are loaded

    def health(self) -> dict[str, Any]:
        """Return the part of `bridge/health` that neither loop nor delivery provides."""
        return {
            "uptime_s": round(time.monotonic() - self._began),
            "camera": {name: _camera(watch) for name, watch in self._cameras.items()},
            "rss_mb": _rss_mb(),
            "threads": threading.active_count(),
            "unused_gpu": self.unused_gpu,
            "lost": {"log_lines": LOST.lines, "notifications": LOST.notifications},
        }

    def for_page(self, loop: Loop, delivery: Delivery) -> dict[str, Any]:
        """Return `bridge/health` with additional values for the dashboard."""
        health, status = delivery.with_delivery(loop.health()), delivery.status()
        for name, watch in self._cameras.items():
            health["camera"][name]["reason"] = watch.state.reason
        broker = {"url": status.broker, "connected": status.connected, "trouble": status.trouble}
        return {**health, "enabled": loop.enabled, "broker": broker}


def _camera(watch: CameraSupervisor) -> dict[str, Any]:
    counters = watch.counters
    return {
        "state": watch.state.state,
        "fps": round(counters.fps, 1),
        "frames": counters.frames,
        "dropped": counters.dropped,
        "stalls": counters.stalls,
    }


def _rss_mb() -> float:
    """Resident memory in MB; 0 where it cannot be read, as when no file can be opened any more."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return round(pages * resource.getpagesize() / 1e6, 1)
