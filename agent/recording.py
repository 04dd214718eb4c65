"""Cameras watched for their readings alone: nothing is published, no rule is followed."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.capture.latest import Latest
from agent.capture.watch import CameraWatch
from agent.config.mind import build_interpreter, trace_header
from agent.config.settings import CameraSettings, Settings
from agent.core.rules import Book, World
from agent.core.trace import Header, Moment
from agent.core.types import Action, GestureEvent
from agent.inference.build import build_perception
from agent.loop.loop import Loop
from agent.loop.surroundings import Hooks


class Nobody:
    """The way out of a loop that nobody listens to."""

    def event(self, event: GestureEvent, *, max_age_s: float, zone: str | None) -> None:
        """Dropped."""

    def perform(self, action: Action) -> None:
        """Dropped."""

    def camera_state(self, camera: str, value: Any, reason: str | None = None) -> None:
        """Dropped."""

    def armed(self, camera: str, armed: bool, for_s: float | None = None) -> None:
        """Dropped."""

    def occupied(self, camera: str, occupied: bool | None) -> None:
        """Dropped."""

    def enabled(self, on: bool) -> None:
        """Dropped."""

    def health(self, health: Mapping[str, Any]) -> None:
        """Dropped."""

    def with_delivery(self, health: Mapping[str, Any]) -> dict[str, Any]:
        """There is none."""
        return dict(health)

    def next_request(self) -> None:
        """Nobody asks."""

    def respond(self, request: Any, data: Mapping[str, Any] | None = None, error: str = "") -> None:
        """Dropped."""


class Recording:
    """The daemon's own loop on some of its cameras, with a recorder in place of a broker."""

    def __init__(
        self,
        settings: Settings,
        cameras: Mapping[str, CameraSettings],
        cache_dir: Path,
        record: Callable[[Moment], None],
    ) -> None:
        """Raises `CannotStart`."""
        self._perception = build_perception(settings.recognition, cache_dir)
        self._frames = Latest()
        self._until: float | None = None
        self.header: Header = trace_header(settings, self._perception.labels, time.monotonic())
        self.loop = Loop(
            frames=self._frames,
            eyes=self._perception,
            mind=build_interpreter(settings, self._perception.labels, Book()),
            out=Nobody(),
            rest=settings.rest,
            max_age_s=settings.debounce.max_age,
            hooks=Hooks(world=_world, turned=self._turned, record=record),
            clock=time.monotonic,
        )
        self._cameras = {
            name: CameraWatch(name, camera, self._frames, self.loop.camera_changed)
            for name, camera in cameras.items()
        }

    def run(self, for_s: float | None) -> None:
        """Until `loop.stop`, the end of all files, or the time is over."""
        self._until = None if for_s is None else time.monotonic() + for_s
        try:
            self.loop.watch(self._cameras, enabled=True)
            for camera in self._cameras.values():
                camera.start()
            self.loop.run(lambda: all(camera.finished for camera in self._cameras.values()))
        finally:
            for camera in self._cameras.values():
                camera.close()
            self._frames.close()
            self.loop.finish()
            self._perception.close()

    def _turned(self) -> None:
        if self._until is not None and time.monotonic() >= self._until:
            self.loop.stop()


def _world() -> World:
    """The time of day; of topics nobody knows anything."""
    return World(time=dt.datetime.now().astimezone().time())
