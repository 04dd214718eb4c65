"""Recording of traces from cameras without publishing or rules."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.capture.mailbox import FrameMailbox
from agent.capture.supervisor import CameraSupervisor
from agent.config.settings import CameraSettings, Settings
from agent.config.trace_settings import trace_header
from agent.core.rules import RuleContext, RuleSet
from agent.core.trace import TraceHeader, TraceRecord
from agent.core.types import Action, CameraState, GestureEvent
from agent.inference.build import build_recognizer
from agent.loop.loop import Loop
from agent.loop.observers import Observers
from agent.pipeline import build_pipeline


class NullSink:
    """Sink of the main loop that discards everything."""

    def event(self, event: GestureEvent, *, max_age_s: float, zone: str | None) -> None:
        """Discard."""

    def perform(self, action: Action) -> None:
        """Discard."""

    def camera_state(self, camera: str, value: Any, reason: str | None = None) -> None:
        """Discard."""

    def armed(self, camera: str, armed: bool, for_s: float | None = None) -> None:
        """Discard."""

    def occupied(self, camera: str, occupied: bool | None) -> None:
        """Discard."""

    def enabled(self, on: bool) -> None:
        """Discard."""

    def health(self, health: Mapping[str, Any]) -> None:
        """Discard."""

    def with_delivery(self, health: Mapping[str, Any]) -> dict[str, Any]:
        """Return the report unchanged: there is no delivery."""
        return dict(health)

    def next_request(self) -> None:
        """Return None: there are no requests."""

    def respond(self, request: Any, data: Mapping[str, Any] | None = None, error: str = "") -> None:
        """Discard."""


class Recording:
    """Main loop on some cameras, with a trace writer in place of a broker."""

    def __init__(
        self,
        settings: Settings,
        cameras: Mapping[str, CameraSettings],
        cache_dir: Path,
        record: Callable[[TraceRecord], None],
        camera_lost: Callable[[CameraState], None],
    ) -> None:
        """Build the loop; `camera_lost` is told of cameras that are away. Raises `CannotStart`."""
        self._record, self._camera_lost = record, camera_lost
        self._recognizer = build_recognizer(settings.recognition, cache_dir)
        self._frames = FrameMailbox()
        self._until: float | None = None
        self.header: TraceHeader = trace_header(settings, self._recognizer.labels, time.monotonic())
        self.loop = Loop(
            frames=self._frames,
            recognizer=self._recognizer,
            pipeline=build_pipeline(settings, self._recognizer.labels, RuleSet()),
            sink=NullSink(),
            idle=settings.idle,
            max_age_s=settings.debounce.max_age,
            context=self,
            clock=time.monotonic,
            observers=Observers(cameras=(self,), steps=(self,), recorders=(self,)),
        )
        self._cameras = {
            name: CameraSupervisor(name, camera, self._frames, self.loop.camera_changed)
            for name, camera in cameras.items()
        }

    def run(self, for_s: float | None) -> None:
        """Run until `loop.stop`, the end of all files, or the time limit."""
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
            self._recognizer.close()

    # As an observer of the loop, and a provider to it.

    def on_step(self) -> None:
        """Stop the loop when the time is over."""
        if self._until is not None and time.monotonic() >= self._until:
            self.loop.stop()

    def camera_changed(self, state: CameraState) -> None:
        """Pass on that a camera is away, and why."""
        if state.state == "offline":
            self._camera_lost(state)

    def record(self, record: TraceRecord) -> None:
        """Write a record to the trace."""
        self._record(record)

    def rule_context(self) -> RuleContext:
        """Local time for rule conditions; no topic values."""
        return RuleContext(time=dt.datetime.now().astimezone().time())
