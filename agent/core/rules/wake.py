"""Wake gesture: arms a camera's `armed` rules for a limited time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.core.debounce import EPSILON_S
from agent.core.rules.rule_set import WakeGesture
from agent.core.rules.verdict import Refusal
from agent.core.thresholds import Thresholds
from agent.core.types import Gesture


@dataclass(frozen=True, slots=True)
class ArmedWindow:
    """The time range, in seconds, in which a camera's armed rules can fire."""

    since: float
    until: float


class WakeState:
    """Tracks which cameras are armed. Without a wake gesture, `armed` conditions always hold."""

    def __init__(self, wake: WakeGesture | None) -> None:
        self.wake = wake
        self._armed: dict[str, ArmedWindow] = {}

    def armed(self, camera: str, at: float) -> ArmedWindow | None:
        """Return the window that is in effect for a camera at `at`, or None."""
        armed = self._armed.get(camera)
        return armed if armed and at <= armed.until + EPSILON_S else None

    def process(self, found: Mapping[Thresholds, Gesture]) -> None:
        """Arm a camera, or extend its window, where the wake gesture started."""
        wake = self.wake
        event = found.get(wake.thresholds) if wake else None
        if wake and event and event.gesture == wake.gesture and wake.hand in {None, event.hand}:
            armed = self.armed(event.camera, event.at)
            since = armed.since if armed else event.at
            self._armed[event.camera] = ArmedWindow(since, event.at + wake.window_s)

    def renew(self, event: Gesture) -> None:
        """Restart the window from this event, because an armed rule fired."""
        armed = self._armed.get(event.camera)
        if armed and self.wake:
            self._armed[event.camera] = ArmedWindow(armed.since, event.at + self.wake.window_s)

    def refusal(self, event: Gesture) -> Refusal | None:
        """Return None where armed, else the reason; the wake gesture's own start does not count."""
        if self.wake is None:
            return None
        wanted = f"{self.wake.gesture} within the last {self.wake.window_s:g} s"
        armed = self._armed.get(event.camera)
        if armed is None:
            return Refusal("armed", "no wake gesture", wanted)
        if event.at > armed.until + EPSILON_S:
            return Refusal("armed", f"it ran out {event.at - armed.until:.1f} s ago", wanted)
        if event.at - event.held_s < armed.since - EPSILON_S:
            return Refusal("armed", "the wake gesture itself", wanted)
        return None

    def restore_state(self, other: WakeState) -> None:
        """Take over the state from before a reload, if the wake gesture is unchanged."""
        if self.wake == other.wake:
            self._armed = dict(other._armed)
