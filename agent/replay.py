"""A clip through the whole chain, or a trace through the core, as fast as it goes: what comes of it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from agent.capture.source import open_source, settings_of
from agent.config.mind import build_interpreter
from agent.config.settings import Settings
from agent.core.interpreter import Understood
from agent.core.rules import Book
from agent.core.trace import Moment, play
from agent.core.types import Action, GestureEvent, GestureHeld
from agent.delivery.clocks import rfc3339
from agent.delivery.topics import event_payload, phase
from agent.errors import ConfigError, EndOfSource, SourceLost
from agent.inference.build import build_perception
from agent.service.trace import Trace

CAMERA = "replay"
_EVENTS = uuid.UUID("7f0c5c1e-52f4-5c0c-9a5e-5d0f3a7f6b11")  # the space of the ids of replayed events


@dataclass(frozen=True, slots=True)
class Step:
    """One moment and what came of it; the last one is the end of the clip or trace."""

    at_s: float  # from the start
    moment: Moment
    events: tuple[GestureEvent, ...]
    actions: tuple[Action, ...]
    took_ms: float | None  # None: a trace says nothing of how long the networks took


class Replayed(Protocol):
    """What can be played again. `frames` counts those so far."""

    frames: int

    def steps(self) -> Iterator[Step]:
        """From start to end. Raises `ConfigError` when there is nothing to play."""


class Replay:
    """One clip. Iterate over `steps`; `frames` counts what was read so far."""

    def __init__(
        self,
        settings: Settings,
        source: str,
        cache_dir: Path,
        book: Book | None = None,
        *,
        fps: float | None = None,
        camera: str = CAMERA,
        taught: Path | None = None,
    ) -> None:
        """Raises `CannotStart`: unknown source, missing models."""
        given: dict[str, Any] = {} if fps is None else {"fps": fps}
        self._camera = camera
        self._source = open_source(settings_of(source, **given), camera, pace=False)
        self._perception = build_perception(settings.recognition, cache_dir, taught=taught)
        self.labels = self._perception.labels
        self._mind = build_interpreter(settings, self.labels, book or Book())
        self.frames = 0

    def steps(self) -> Iterator[Step]:
        """Frame by frame, then one step in which the clip is over and what is still on ends.

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
                (sight,) = self._perception.see([frame])
                understood = self._mind.see(sight)
                moment = Moment("frame", at, self._camera, understood.readings)
                yield _step(at - start, moment, understood, began)
        except EndOfSource:
            began, moment = time.perf_counter(), Moment("stop", at, self._camera)
            yield _step(at - start, moment, play(moment, self._mind), began)
        except SourceLost as exc:
            raise ConfigError(str(exc)) from exc
        finally:
            self._source.close()
            self._perception.close()


def _step(at_s: float, moment: Moment, understood: Understood, began: float) -> Step:
    took_ms = (time.perf_counter() - began) * 1000
    return Step(at_s, moment, understood.events, understood.actions, took_ms)


class TraceReplay:
    """One trace. The same trace, rules and settings give the same steps, to the last bit."""

    def __init__(self, settings: Settings, trace: Trace, book: Book | None = None) -> None:
        self._trace = trace
        self._mind = build_interpreter(settings, trace.header.labels, book or Book())
        self.frames = 0

    def steps(self) -> Iterator[Step]:
        """Moment by moment, then one step for each camera in which all ends. Raises `ConfigError`."""
        start, last = self._trace.header.at, {}
        for moment in self._trace.moments():
            self.frames += moment.kind == "frame"
            last[moment.camera] = moment
            yield self._step(moment, start)
        for camera, moment in last.items():
            yield self._step(Moment("stop", moment.at, camera, world=moment.world), start)

    def _step(self, moment: Moment, start: float) -> Step:
        understood = play(moment, self._mind)
        return Step(moment.at - start, moment, understood.events, understood.actions, None)


def started_wall_s(trace: Trace) -> float | None:
    """When a trace began, in seconds since 1970; None for that of a clip."""
    started = trace.header.started
    return datetime.fromisoformat(started.replace("Z", "+00:00")).timestamp() if started else None


def published(step: Step, started_wall_s: float | None) -> Iterator[dict[str, Any]]:
    """The payloads of `camera/<cam>/event` for one step: starts and ends, each with `at_s`.

    The ids follow from what happened: the same replay gives the same ids. `ts` is null where nobody
    knows when it was.
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
