"""Builds the web page from the settings; the web server is imported only if it is enabled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import __version__
from agent.config.settings import Settings
from agent.core.gesture_pipeline import GesturePipeline
from agent.supervision import Threads

if TYPE_CHECKING:
    from agent.browser_teaching import BrowserTeaching
    from agent.config.folders import Folders
    from agent.web.page import WebPage
    from agent.web.setup import SetupProvider
    from agent.web.teaching import TeachingProvider
    from agent.web.tuning import TuningProvider


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
) -> WebPage | None:
    """Build the web page; None where it is not enabled; arguments as for `WebPage`. Raises `ConfigError`.

    `labels` of the classifier and the `state` folder are for editing rules.
    """
    if not settings.web.enabled:
        return None
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
    settings: Settings,
    file: Path | None,
    environ: Mapping[str, str],
    state: Path,
    paused: Callable[[], bool],
) -> SetupProvider | None:
    """What sets the agent up from its page; None unless the page may write, and knows where to."""
    if file is None or not (settings.web.enabled and settings.web.edit):
        return None
    from agent.browser_setup import BrowserSetup  # noqa: PLC0415
    from agent.installation.settings_file import SettingsFile  # noqa: PLC0415

    return BrowserSetup(settings, SettingsFile(file, environ, state), environ, paused)


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
