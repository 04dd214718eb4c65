"""Ports of the main loop: protocols of the parts that it uses, and callbacks to the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from agent.core.rules import RuleContext, RuleSet
from agent.core.types import Action, Detections, Frame, GestureEvent


class Frames(Protocol):
    """Protocol of the frame mailbox."""

    def take(self, timeout_s: float) -> list[Frame]:
        """Return the newest frame of every camera with a new one; waits up to `timeout_s` seconds."""


class FrameRecognizer(Protocol):
    """Protocol of the recogniser."""

    def recognize(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return the detections in the frames, at most one frame for each camera."""

    def forget(self, camera: str) -> None:
        """Drop all tracking state of a camera."""


class Camera(Protocol):
    """Protocol of a camera's supervisor."""

    def enable(self, on: bool) -> None:
        """Enable or disable the camera; disabling closes the device."""

    def rest_until(self, at: float) -> None:
        """Frames captured before `at` (seconds) will not be looked at and need no decoding."""


class EventSink(Protocol):
    """Protocol of the output side: events, actions, states and responses to requests."""

    def event(self, event: GestureEvent, *, max_age_s: float, zone: str | None) -> str | None:
        """Publish a gesture event that expires after `max_age_s` seconds."""

    def perform(self, action: Action) -> None:
        """Queue an action of a rule for execution."""

    def camera_state(self, camera: str, value: Any, reason: str | None = None) -> None:
        """Publish a camera's connection state."""

    def armed(self, camera: str, armed: bool, for_s: float | None = None) -> None:
        """Publish whether a camera's rules are armed, and for how many seconds."""

    def occupied(self, camera: str, occupied: bool | None) -> None:
        """Publish whether somebody is in a camera's view; None: unknown."""

    def enabled(self, on: bool) -> None:
        """Publish whether the cameras are in use."""

    def health(self, health: Mapping[str, Any]) -> None:
        """Publish the agent's health."""

    def with_delivery(self, health: Mapping[str, Any]) -> dict[str, Any]:
        """Return the health figures with delivery's own added."""

    def next_request(self) -> Any | None:
        """Return the next request received over MQTT, or None."""

    def respond(self, request: Any, data: Mapping[str, Any] | None = None, error: str = "") -> None:
        """Publish the response to a request."""


class RuleProvider(Protocol):
    """The rule files. Asked in a thread that reads rules and does nothing else."""

    def load(self) -> RuleSet:
        """The rules as they are now. Raises `ConfigError`."""

    def changed(self) -> bool:
        """True once for every edit."""


class ContextProvider(Protocol):
    """What rules may ask besides gestures."""

    def rule_context(self) -> RuleContext:
        """The time of day and the values of topics, as they are now."""


class HealthProvider(Protocol):
    """How the parts around the loop fare."""

    def health(self) -> dict[str, Any]:
        """The part of `bridge/health` that the loop does not know."""


class NoRules:
    """A `RuleProvider` where no rule is followed."""

    def load(self) -> RuleSet:
        """None at all."""
        return RuleSet()

    def changed(self) -> bool:
        """Never."""
        return False


class NoHealth:
    """A `HealthProvider` that knows of nothing around the loop."""

    def health(self) -> dict[str, Any]:
        """Nothing to add."""
        return {}
