"""What the loop needs of the parts around it: what it uses, and the providers that it asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from agent.core.rules import RuleContext, RuleSet
from agent.core.types import Action, Detections, Frame, GestureEvent


class Frames(Protocol):
    """The mailbox of the cameras."""

    def take(self, timeout_s: float) -> list[Frame]:
        """The newest frame of every camera that has news."""


class FrameRecognizer(Protocol):
    """The perception."""

    def recognize(self, frames: Sequence[Frame]) -> list[Detections]:
        """What is in the frames; at most one frame a camera."""

    def forget(self, camera: str) -> None:
        """The camera was away: whoever stands there when it is back may be somebody else."""


class Camera(Protocol):
    """What the loop needs of a camera's watch."""

    def enable(self, on: bool) -> None:
        """On or off; off closes the device."""


class EventSink(Protocol):
    """The way out: see `agent.delivery.delivery.Delivery`."""

    def event(self, event: GestureEvent, *, max_age_s: float, zone: str | None) -> str | None:
        """Tell of a gesture."""

    def perform(self, action: Action) -> None:
        """Do what a rule wants."""

    def camera_state(self, camera: str, value: Any, reason: str | None = None) -> None:
        """Tell how a camera is."""

    def armed(self, camera: str, armed: bool, for_s: float | None = None) -> None:
        """Tell the wake state."""

    def occupied(self, camera: str, occupied: bool | None) -> None:
        """Tell whether somebody is in view; None: nobody looks."""

    def enabled(self, on: bool) -> None:
        """Tell whether cameras are in use."""

    def health(self, health: Mapping[str, Any]) -> None:
        """Tell how the agent fares."""

    def with_delivery(self, health: Mapping[str, Any]) -> dict[str, Any]:
        """The same with delivery's own figures."""

    def next_request(self) -> Any | None:
        """A wish from outside."""

    def respond(self, request: Any, data: Mapping[str, Any] | None = None, error: str = "") -> None:
        """Answer it."""


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
