"""What the loop needs of the parts around it, and what it tells them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agent.core.gesture_pipeline import PipelineResult
from agent.core.rules import RuleContext, RuleSet
from agent.core.trace import TraceRecord
from agent.core.types import Action, CameraState, Detections, Frame, GestureEvent


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


def _nothing(*_: object) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the loop asks of its surroundings, and what it tells them."""

    context: Callable[[], RuleContext]
    load_rules: Callable[[], RuleSet] = (
        RuleSet  # the rule files; raises ConfigError; called in a thread of its own
    )
    rules_edited: Callable[[], bool] | None = None  # whether they have changed; in that thread, too
    health: Callable[[], dict[str, Any]] = dict  # the part of bridge/health that the loop does not know
    enabled_changed: Callable[[bool], None] = _nothing
    camera_changed: Callable[[CameraState], None] = _nothing  # before its gestures end; must not raise
    rules_changed: Callable[[RuleSet], None] = _nothing
    state_changed: Callable[[str], None] = _nothing  # one line for STATUS=
    reloading: Callable[[], None] = _nothing
    reloaded: Callable[[], None] = _nothing
    stepped: Callable[[], None] = _nothing  # after every turn: the loop makes progress
    rules_refused: Callable[[str], None] = _nothing  # what is wrong with them; the old ones run on
    detected: Callable[[Frame, Detections], None] = _nothing  # must neither block nor raise
    processed: Callable[[str, float, PipelineResult], None] = _nothing  # camera, time; handed over before
    record: Callable[[TraceRecord], None] = _nothing  # all that the core hears, for a trace; must not raise
