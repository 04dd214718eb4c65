"""Ports of the main loop: protocols of the parts that it uses, and callbacks to the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agent.core.gesture_pipeline import PipelineResult
from agent.core.rules import RuleContext, RuleSet
from agent.core.trace import TraceRecord
from agent.core.types import Action, CameraState, Detections, Frame, GestureEvent


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


def _nothing(*_: object) -> None:
    """Do nothing: default of callbacks that are not set."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """Providers that the loop calls for input, and observers that it notifies."""

    context: Callable[[], RuleContext]
    load_rules: Callable[[], RuleSet] = (
        RuleSet  # reads the rule files; raises ConfigError; called in its own thread
    )
    rules_edited: Callable[[], bool] | None = (
        None  # whether the rule files have changed; called in that thread
    )
    health: Callable[[], dict[str, Any]] = dict  # the part of bridge/health from outside the loop
    enabled_changed: Callable[[bool], None] = _nothing
    camera_changed: Callable[[CameraState], None] = _nothing  # before its gestures end; must not raise
    rules_changed: Callable[[RuleSet], None] = _nothing
    state_changed: Callable[[str], None] = _nothing  # status line for systemd's STATUS=
    reloading: Callable[[], None] = _nothing
    reloaded: Callable[[], None] = _nothing
    stepped: Callable[[], None] = _nothing  # after every step: progress for the watchdog
    rules_refused: Callable[[str], None] = _nothing  # problems of the new rules; the old ones stay in effect
    detected: Callable[[Frame, Detections], None] = _nothing  # must neither block nor raise
    processed: Callable[[str, float, PipelineResult], None] = (
        _nothing  # camera, time, result; after hand-over
    )
    record: Callable[[TraceRecord], None] = _nothing  # input of the pipeline, for a trace; must not raise
