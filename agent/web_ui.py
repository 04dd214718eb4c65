"""The page in the browser, or none: a web server is imported only where one is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

from agent import __version__
from agent.config.settings import Settings
from agent.core.gesture_pipeline import GesturePipeline, PipelineResult
from agent.core.rules import RuleSet
from agent.core.types import CameraState, Detections, Frame
from agent.supervision import Threads


class WebUi(Protocol):
    """What the agent tells its page (see `agent.web.page.WebPage`). None of it blocks."""

    url: str
    """Where a browser finds it, once it is started; empty where there is none."""

    def start(self) -> None:
        """Raises `ConfigError` when the address cannot be had."""

    def close(self) -> None:
        """Takes seconds at most."""

    def on_detections(self, frame: Frame, detections: Detections) -> None:
        """A frame was looked at."""

    def on_result(self, camera: str, at: float, result: PipelineResult) -> None:
        """That is what came of it, or of its absence."""

    def on_step(self) -> None:
        """After every turn of the loop."""

    def on_enabled(self, on: bool, /) -> None:
        """The cameras were switched on or off."""

    def camera_changed(self, state: CameraState) -> None:
        """A camera came, went or was switched off."""

    def on_rules(self, rule_set: RuleSet) -> None:
        """Other rules are in force."""

    def on_rules_refused(self, problem: str) -> None:
        """Other rules were wrong."""


class NullWebUi:
    """Nobody looks."""

    url = ""

    def start(self) -> None:
        """Nothing starts."""

    def close(self) -> None:
        """Nothing is open."""

    def on_detections(self, frame: Frame, detections: Detections) -> None:
        """Dropped."""

    def on_result(self, camera: str, at: float, result: PipelineResult) -> None:
        """Dropped."""

    def on_step(self) -> None:
        """Dropped."""

    def on_enabled(self, on: bool, /) -> None:
        """Dropped."""

    def camera_changed(self, state: CameraState) -> None:
        """Dropped."""

    def on_rules(self, rule_set: RuleSet) -> None:
        """Dropped."""

    def on_rules_refused(self, problem: str) -> None:
        """Dropped."""


def build_web_ui(
    settings: Settings,
    gestures: list[str],
    *,
    labels: Sequence[str],
    state: Path,
    pipeline: GesturePipeline,
    health: Callable[[], Mapping[str, Any]],
    progress: Callable[[], Mapping[str, int]],
    ask: Callable[[str, Mapping[str, Any]], Future[Any]],
    threads: Threads | None = None,
) -> WebUi:
    """As the settings want it; the callables as `WebPage` has them. Raises `ConfigError`.

    `labels` of the classifier and the `state` folder are for editing rules.
    """
    if not settings.web.enabled:
        return NullWebUi()
    from agent.web.dashboard import About  # noqa: PLC0415
    from agent.web.page import WebPage  # noqa: PLC0415 (a web server)
    from agent.web.rule_editor import RuleEditor  # noqa: PLC0415

    about = About(
        agent=settings.agent.id,
        version=__version__,
        gestures=tuple(gestures),
        cameras=tuple(settings.camera),
        hold_ms=settings.debounce.hold * 1000,
        preview=settings.web.preview,
        edit=settings.web.edit,
    )
    editor = (
        RuleEditor(settings.agent.rules, labels, settings.debounce, settings.camera or None, state=state)
        if settings.web.edit
        else None
    )
    return WebPage(
        settings.web,
        about,
        pipeline=pipeline,
        health=health,
        progress=progress,
        ask=ask,
        threads=threads,
        editor=editor,
    )
