"""Replay of a clip through the whole pipeline, or of a trace through the core, at full speed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from agent.capture.source import open_source, settings_of
from agent.config.settings import Settings
from agent.core.gesture_pipeline import PipelineResult
from agent.core.rules import RuleSet
from agent.core.timestamps import rfc3339, wall_seconds
from agent.core.trace import TraceRecord, replay_record
from agent.core.types import Action, GestureEvent, GestureHeld
from agent.delivery.topics import event_payload, phase
from agent.errors import ConfigError, EndOfSource, SourceLost
from agent.inference.build import build_recognizer
from agent.pipeline import build_pipeline
from agent.service.trace_files import StoredTrace

CAMERA = "replay"
_EVENTS = uuid.UUID("7f0c5c1e-52f4-5c0c-9a5e-5d0f3a7f6b11")  # namespace of the ids of replayed events


@dataclass(frozen=True, slots=True)
class ReplayStep:
    """One step of a replay and its result; the last one ends the clip or trace."""

    at_s: float  # seconds from the start
    record: TraceRecord
    events: tuple[GestureEvent, ...]
    actions: tuple[Action, ...]
    took_ms: float | None  # None: a trace has no timing of the networks


class ReplaySource(Protocol):
    """A clip or trace to replay. `frames` counts those processed so far."""

    frames: int

    def steps(self) -> Iterator[ReplayStep]:
        """Yield the steps from start to end. Raises `ConfigError` when there is nothing to play."""


class ClipReplay:
    """Replay of a clip. Iterate over `steps`; `frames` counts what was read so far."""

    def __init__(
        self,
        settings: Settings,
        source: str,
        cache_dir: Path,
        rule_set: RuleSet | None = None,
        *,
        fps: float | None = None,
        camera: str = CAMERA,
        taught: Path | None = None,
    ) -> None:
        """Open the clip. Raises `CannotStart`: unknown source, missing models."""
        given: dict[str, Any] = {} if fps is None else {"fps": fps}
        self._camera = camera
        self._source = open_source(settings_of(source, **given), camera, pace=False)
        self._recognizer = build_recognizer(settings.recognition, cache_dir, taught=taught)
        self.labels = self._recognizer.labels
        self._pipeline = build_pipeline(settings, self.labels, rule_set or RuleSet())
        self.frames = 0

    def steps(self) -> Iterator[ReplayStep]:
        """Yield a step for each frame, then a final one that ends active gestures.

        Raises `ConfigError` when there is nothing to play.
        """
        try:
            self._source.open()
        except SourceLost as exc:
            raise ConfigError(str(exc)) from exc
        at = start = 0.0
        try:
            while True:
                began = time.perf_counter()
                frame = self._source.read()
                start = frame.at if self.frames == 0 else start
                at = frame.at
                self.frames += 1
                (detections,) = self._recognizer.recognize([frame])
                result = self._pipeline.process(detections)
                record = TraceRecord("frame", at, self._camera, result.observations)
                yield _step(at - start, record, result, began)
        except EndOfSource:
            began, record = time.perf_counter(), TraceRecord("stop", at, self._camera)
            yield _step(at - start, record, replay_record(record, self._pipeline), began)
        except SourceLost as exc:
            raise ConfigError(str(exc)) from exc
        finally:
            self._source.close()
            self._recognizer.close()


def _step(at_s: float, record: TraceRecord, result: PipelineResult, began: float) -> ReplayStep:
    took_ms = (time.perf_counter() - began) * 1000
    return ReplayStep(at_s, record, result.events, result.actions, took_ms)


class TraceReplay:
    """Replay of a trace. The same trace, rules and settings give identical steps, to the last bit."""

    def __init__(self, settings: Settings, trace: StoredTrace, rule_set: RuleSet | None = None) -> None:
        self._trace = trace
        self._pipeline = build_pipeline(settings, trace.header.labels, rule_set or RuleSet())
        self.frames = 0

    def steps(self) -> Iterator[ReplayStep]:
        """Yield a step for each record, then a final one for each camera. Raises `ConfigError`."""
        start, last = self._trace.header.at, {}
        for record in self._trace.records():
            self.frames += record.kind == "frame"
            last[record.camera] = record
            yield self._step(record, start)
        for camera, record in last.items():
            yield self._step(TraceRecord("stop", record.at, camera, context=record.context), start)

    def _step(self, record: TraceRecord, start: float) -> ReplayStep:
        result = replay_record(record, self._pipeline)
        return ReplayStep(record.at - start, record, result.events, result.actions, None)


def started_wall_s(trace: StoredTrace) -> float | None:
    """Return when a trace began, in seconds since 1970; None for that of a clip."""
    started = trace.header.started
    return wall_seconds(started) if started else None


def published(step: ReplayStep, started_wall_s: float | None) -> Iterator[dict[str, Any]]:
    """Return the payloads of `camera/<cam>/event` for one step: starts and ends, each with `at_s`.

    Ids are derived from the content: the same replay gives the same ids. `ts` is null where the time
    is unknown.
    """
    for event in step.events:
        if not isinstance(event, GestureHeld):
            payload = event_payload(
                event,
                event_id=_event_id(event),
                ts=rfc3339((started_wall_s or 0.0) + step.at_s),
                latency_ms=step.took_ms,
                at_s=step.at_s,
            )
            yield payload if started_wall_s is not None else {**payload, "ts": None}


def _event_id(event: GestureEvent) -> str:
    what = f"{event.camera} {event.at:.6f} {event.person} {event.hand} {event.gesture} {phase(event)}"
    return str(uuid.uuid5(_EVENTS, what))
