"""A clip through the whole chain, as fast as it goes: what would have been published, and when."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.app import build_interpreter
from agent.capture.source import open_source
from agent.config.settings import CameraSettings, Settings
from agent.core.interpreter import Understood
from agent.core.rules import Book
from agent.core.types import Action, GestureEvent, GestureHeld, Sight
from agent.delivery.clocks import rfc3339
from agent.delivery.topics import event_payload
from agent.errors import ConfigError, EndOfSource, SourceLost
from agent.inference.perception import build_perception

CAMERA = "replay"


@dataclass(frozen=True, slots=True)
class Step:
    """One frame of the clip and what came of it; the last step is the end of the clip."""

    at_s: float  # from the start of the clip
    sight: Sight | None
    events: tuple[GestureEvent, ...]
    actions: tuple[Action, ...]
    took_ms: float


class Replay:
    """One clip. Iterate over `steps`; `frames` counts what was read so far."""

    def __init__(
        self,
        settings: Settings,
        source: str,
        cache_dir: Path,
        book: Book | None = None,
        fps: float | None = None,
    ) -> None:
        """Raises `CannotStart`: unknown source, missing models."""
        given: dict[str, Any] = {"source": source} if fps is None else {"source": source, "fps": fps}
        self._settings = settings
        self._source = open_source(CameraSettings(**given), CAMERA, pace=False)
        self._perception = build_perception(settings.recognition, cache_dir)
        self._mind = build_interpreter(settings, self._perception.labels, book or Book())
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
                yield _step(at - start, sight, self._mind.see(sight), began)
        except EndOfSource:
            yield _step(at - start, None, self._mind.stop(CAMERA, at), time.perf_counter())
        except SourceLost as exc:
            raise ConfigError(str(exc)) from exc
        finally:
            self._source.close()
            self._perception.close()


def _step(at_s: float, sight: Sight | None, understood: Understood, began: float) -> Step:
    took_ms = (time.perf_counter() - began) * 1000
    return Step(at_s, sight, understood.events, understood.actions, took_ms)


def published(step: Step, started_wall_s: float) -> Iterator[dict[str, Any]]:
    """The payloads of `camera/<cam>/event` for one step: starts and ends, each with `at_s`."""
    for event in step.events:
        if not isinstance(event, GestureHeld):
            yield event_payload(
                event,
                event_id=str(uuid.uuid4()),
                ts=rfc3339(started_wall_s + step.at_s),
                latency_ms=step.took_ms,
                at_s=step.at_s,
            )
