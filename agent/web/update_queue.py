"""From the loop to the page: a mailbox that never makes the loop wait.

Nothing here imports a web server. The loop leaves plain, immutable data; when the page does not come
to fetch it, the oldest goes, and is counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from agent.core.debounce import HandProgress
from agent.core.rules import RuleVerdict
from agent.core.types import Action, CameraState, GestureEvent
from agent.web.near import Near

SIZE = 256  # pieces of news; four seconds of two cameras


@dataclass(frozen=True, slots=True)
class StepUpdate:
    """What one step of the loop told of one camera.

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
    near: tuple[Near, ...] = ()
    verdicts: tuple[RuleVerdict, ...] = ()


@dataclass(frozen=True, slots=True)
class HealthUpdate:
    """How the agent fares, as `bridge/health` says it, with `enabled` and `broker`."""

    health: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RuleSummary:
    """A rule for people."""

    id: str
    when: str
    does: str
    also: bool = False  # fires besides the one that matches first
    judged: int = 0  # rules with the same number go by the same thresholds: among them one is the first


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """Other rules run from now on."""

    rules: tuple[RuleSummary, ...]


@dataclass(frozen=True, slots=True)
class RulesRefused:
    """The rule files are wrong; those that ran before run on."""

    problem: str


@dataclass(frozen=True, slots=True)
class Switched:
    """The cameras are in use, or closed."""

    on: bool


@dataclass(frozen=True, slots=True)
class CameraChanged:
    """A camera came, went or was switched off."""

    state: CameraState


Update: TypeAlias = StepUpdate | HealthUpdate | RulesInForce | RulesRefused | Switched | CameraChanged


class UpdateQueue:
    """One thread leaves, one fetches. `dropped` counts what was never fetched."""

    def __init__(self, size: int = SIZE) -> None:
        self.dropped = 0
        self._update: deque[Update] = deque(maxlen=size)
        self._wake: Callable[[], None] | None = None
        self._rung = False

    def attach(self, wake: Callable[[], None] | None) -> None:
        """`wake` is called from the leaving thread, once until the news was fetched; it must not block."""
        self._rung = False
        self._wake = wake

    def put(self, update: Update) -> None:
        """Leave something. Never blocks, never raises."""
        if len(self._update) == self._update.maxlen:
            self.dropped += 1
        self._update.append(update)
        if self._wake is None or self._rung:
            return
        self._rung = True
        try:
            self._wake()
        except RuntimeError:  # the page's event loop has just been closed
            self._wake = None

    def take(self) -> list[Update]:
        """All that is there, in order."""
        self._rung = False  # first: what comes from here on rings again
        found = []
        while self._update:
            found.append(self._update.popleft())
        return found
