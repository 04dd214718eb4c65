"""Observers of the loop: told what happened, in the loop's own thread.

None of them may block. What one raises ends the loop, and with it the process: it is a bug.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agent.core.gesture_pipeline import PipelineResult
from agent.core.rules import RuleSet
from agent.core.trace import TraceRecord
from agent.core.types import CameraState, Detections


class RecognitionObserver(Protocol):
    """Told what was recognised and what came of it."""

    def on_detections(self, detections: Detections) -> None:
        """A frame was looked at; before its result."""

    def on_result(self, camera: str, at: float, result: PipelineResult) -> None:
        """What came of it, or of the absence of frames; events and actions are handed over already."""


class CameraObserver(Protocol):
    """Told how the cameras are."""

    def camera_changed(self, state: CameraState) -> None:
        """A camera came, went or was switched off; before its gestures end."""


class EnabledObserver(Protocol):
    """Told whether the cameras are in use."""

    def on_enabled(self, on: bool, /) -> None:
        """They were switched on or off."""


class RulesObserver(Protocol):
    """Told which rules are in force."""

    def on_rules(self, rule_set: RuleSet) -> None:
        """Other rules are in force."""

    def on_rules_refused(self, problem: str) -> None:
        """What is wrong with other rules; the old ones stay in force."""


class ReloadObserver(Protocol):
    """Told of reloads that were asked for by signal."""

    def reloading(self) -> None:
        """The rules are about to be read again."""

    def ready(self) -> None:
        """They were read, whatever came of it."""


class StepObserver(Protocol):
    """Told that the loop makes progress."""

    def on_step(self) -> None:
        """After every step, ten a second at least."""


class SummaryObserver(Protocol):
    """Told how the agent is, in a line."""

    def on_summary(self, line: str) -> None:
        """One line for `systemctl status`."""


class Recorder(Protocol):
    """Told all that the core hears, for a trace."""

    def record(self, record: TraceRecord) -> None:
        """Keep it."""


@dataclass(frozen=True, slots=True)
class Observers:
    """Who is told what; each in the order given."""

    recognition: tuple[RecognitionObserver, ...] = ()
    cameras: tuple[CameraObserver, ...] = ()
    enabled: tuple[EnabledObserver, ...] = ()
    rules: tuple[RulesObserver, ...] = ()
    reloads: tuple[ReloadObserver, ...] = ()
    steps: tuple[StepObserver, ...] = ()
    summary: tuple[SummaryObserver, ...] = ()
    recorders: tuple[Recorder, ...] = ()
