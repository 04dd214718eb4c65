"""Bounded queue of updates from the main loop to the web thread; it never blocks the loop.

Nothing here imports a web server. The loop puts plain, immutable data; when the web thread does not
read it, the oldest is dropped and counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from agent.core.debounce import HandProgress
from agent.core.rules import RuleVerdict
from agent.core.types import Action, CameraState, GestureEvent
from agent.web.near_miss import NearMiss

SIZE = 256  # updates; four seconds of two cameras


@dataclass(frozen=True, slots=True)
class StepUpdate:
    """Result of one step of the main loop for one camera.

    `latency_s` is from the frame to the end of its step, None where there was no frame. `armed` is
    None where the rules have no wake gesture; `armed_until` is when its window closes, if it is open.
    """

    camera: str
    at: float
    latency_s: float | None
    people: int
    hands: tuple[HandProgress, ...] = ()
    events: tuple[GestureEvent, ...] = ()
    actions: tuple[Action, ...] = ()
    armed: bool | None = None
    armed_until: float | None = None
    near: tuple[NearMiss, ...] = ()
    verdicts: tuple[RuleVerdict, ...] = ()


@dataclass(frozen=True, slots=True)
class HealthUpdate:
    """Health report as in `bridge/health`, with `enabled` and `broker`."""

    health: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RuleSummary:
    """One rule as the dashboard shows it."""

    id: str
    when: str
    does: str
    also: bool = False  # rules that fire besides the first match
    judged: int = 0  # rules with the same number share thresholds: among them one is the first


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """The rules in force have changed."""

    rules: tuple[RuleSummary, ...]


@dataclass(frozen=True, slots=True)
class RulesRefused:
    """Changed rule files were refused; the previous rules stay in force."""

    problem: str


@dataclass(frozen=True, slots=True)
class Switched:
    """The cameras were enabled or disabled."""

    on: bool


@dataclass(frozen=True, slots=True)
class CameraChanged:
    """A camera went online or offline or was disabled."""

    state: CameraState


Update: TypeAlias = StepUpdate | HealthUpdate | RulesInForce | RulesRefused | Switched | CameraChanged


class UpdateQueue:
    """Bounded queue for one producer and one consumer thread. `dropped` counts updates never read."""

    def __init__(self, size: int = SIZE) -> None:
        self.dropped = 0
        self._update: deque[Update] = deque(maxlen=size)
        self._wake: Callable[[], None] | None = None
        self._rung = False

    def attach(self, wake: Callable[[], None] | None) -> None:
        """Set `wake`, called from the producer thread once until the queue is read; it must not block."""
        self._rung = False
        self._wake = wake

    def put(self, update: Update) -> None:
        """Add an update. Never blocks, never raises."""
        if len(self._update) == self._update.maxlen:
            self.dropped += 1
        self._update.append(update)
        if self._wake is None or self._rung:
            return
        self._rung = True
        try:
            self._wake()
        except RuntimeError:  # the web thread's event loop has just been closed
            self._wake = None

    def take(self) -> list[Update]:
        """Take all updates, in order."""
        self._rung = False  # first: later updates wake again
        found = []
        while self._update:
            found.append(self._update.popleft())
        return found
