"""Interface of the web page and its null implementation; the web server is imported only if enabled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from agent import __version__
from agent.config.settings import Settings
from agent.core.gesture_pipeline import GesturePipeline, PipelineResult
from agent.core.rules import RuleSet
from agent.core.types import CameraState, Detections
from agent.supervision import Threads

if TYPE_CHECKING:
    from agent.browser_teaching import BrowserTeaching
    from agent.config.folders import Folders
    from agent.web.setup import SetupProvider
    from agent.web.teaching import TeachingProvider
    from agent.web.tuning import TuningProvider


class WebUi(Protocol):
    """Interface of the web page for the agent (see `agent.web.page.WebPage`). No method blocks."""

    url: str
    """URL of the page, once started; empty where there is none."""

    def start(self) -> None:
        """Start serving. Raises `ConfigError` when the address is not available."""

    def close(self) -> None:
        """Stop serving; takes seconds at most."""

    def on_detections(self, detections: Detections) -> None:
        """Take the detections of a frame."""

    def on_result(self, camera: str, at: float, result: PipelineResult) -> None:
        """Take the pipeline's result for a frame, or for a step without one."""

    def on_step(self) -> None:
        """Called after every turn of the loop."""

    def on_enabled(self, on: bool, /) -> None:
        """Called when the cameras are enabled or disabled."""

    def camera_changed(self, state: CameraState) -> None:
        """Called when a camera goes online or offline or is disabled."""

    def on_rules(self, rule_set: RuleSet) -> None:
        """Called when other rules are in force."""

    def on_rules_refused(self, problem: str) -> None:
        """Called when changed rule files were refused."""


class NullWebUi:
    """Implementation without a web server."""

    url = ""

    def start(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def on_detections(self, detections: Detections) -> None:
        """Do nothing."""

    def on_result(self, camera: str, at: float, result: PipelineResult) -> None:
        """Do nothing."""

    def on_step(self) -> None:
        """Do nothing."""

    def on_enabled(self, on: bool, /) -> None:
        """Do nothing."""

    def camera_changed(self, state: CameraState) -> None:
        """Do nothing."""

    def on_rules(self, rule_set: RuleSet) -> None:
        """Do nothing."""

    def on_rules_refused(self, problem: str) -> None:
        """Do nothing."""


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
    setup: SetupProvider | None = None,
    teaching: TeachingProvider | None = None,
    tuning: TuningProvider | None = None,
) -> WebUi:
    """Build the web page if enabled; arguments as for `WebPage`. Raises `ConfigError`.

    `labels` of the classifier and the `state` folder are for editing rules.
    """
    if not settings.web.enabled:
        return NullWebUi()
    from agent.installation.starter import parse_action, rule_text  # noqa: PLC0415
    from agent.web.dashboard import About  # noqa: PLC0415
    from agent.web.page import WebPage  # noqa: PLC0415 (a web server)
    from agent.web.rule_editor import RuleEditor  # noqa: PLC0415

    def template(rule_id: str, gesture: str, does: str) -> str:
        return rule_text(gesture, parse_action(does), rule_id=rule_id, hold_s=settings.debounce.hold)

    about = About(
        agent=settings.agent.id,
        version=__version__,
        gestures=tuple(gestures),
        cameras=tuple(settings.camera),
        hold_ms=settings.debounce.hold * 1000,
        preview=settings.web.preview,
        edit=settings.web.edit,
        setup=setup is not None,
        teach=teaching is not None,
        tune=tuning is not None,
    )
    editor = (
        RuleEditor(
            settings.agent.rules,
            labels,
            settings.debounce,
            settings.camera or None,
            state=state,
            template=template,
        )
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
        setup=setup,
        teaching=teaching,
        tuning=tuning,
    )


def build_setup(
    settings: Settings, file: Path | None, environ: Mapping[str, str], state: Path
) -> SetupProvider | None:
    """What sets the agent up from its page; None unless the page may write, and knows where to."""
    if file is None or not (settings.web.enabled and settings.web.edit):
        return None
    from agent.browser_setup import BrowserSetup  # noqa: PLC0415
    from agent.installation.settings_file import SettingsFile  # noqa: PLC0415

    return BrowserSetup(settings, SettingsFile(file, environ, state), environ)


def build_tuning(
    settings: Settings, file: Path | None, environ: Mapping[str, str], labels: tuple[str, ...], state: Path
) -> TuningProvider | None:
    """What tries thresholds from the page; None unless the page may write, and there are traces."""
    if file is None or not (settings.web.enabled and settings.web.edit and settings.trace.enabled):
        return None
    from agent.browser_tuning import BrowserTuning  # noqa: PLC0415
    from agent.installation.settings_file import SettingsFile  # noqa: PLC0415

    return BrowserTuning(settings, SettingsFile(file, environ, state), environ, labels, state)


def build_teaching(settings: Settings, folders: Folders) -> BrowserTeaching | None:
    """What teaches gestures from the page; None unless the page may write."""
    if not (settings.web.enabled and settings.web.edit):
        return None
    from agent.browser_teaching import BrowserTeaching  # noqa: PLC0415

    return BrowserTeaching(settings.recognition, folders.cache, folders.state, settings.camera)
