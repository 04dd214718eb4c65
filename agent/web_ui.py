"""Builds the web page from the settings; the web server is imported only if it is enabled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    from agent.web.editing import Editing
    from agent.web.page import WebPage


def build_web_ui(
    settings: Settings,
    gestures: list[str],
    *,
    pipeline: GesturePipeline,
    health: Callable[[], Mapping[str, Any]],
    progress: Callable[[], Mapping[str, int]],
    ask: Callable[[str, Mapping[str, Any]], Future[Any]],
    editing: Editing | None,
    threads: Threads | None = None,
) -> WebPage | None:
    """Build the web page; None where it is not enabled; arguments as for `WebPage`. Raises `ConfigError`."""
    if not settings.web.enabled:
        return None
    from agent.web.dashboard import About  # noqa: PLC0415
    from agent.web.editing import NO_EDITING  # noqa: PLC0415
    from agent.web.page import WebPage  # noqa: PLC0415 (a web server)

    editing = editing or NO_EDITING
    about = About(
        agent=settings.agent.id,
        version=__version__,
        gestures=tuple(gestures),
        cameras=tuple(settings.camera),
        hold_ms=settings.debounce.hold * 1000,
        preview=settings.web.preview,
        edit=editing.rules is not None,
        setup=editing.setup is not None,
        teach=editing.teaching is not None,
        tune=editing.tuning is not None,
    )
    return WebPage(
        settings.web,
        about,
        pipeline=pipeline,
        health=health,
        progress=progress,
        ask=ask,
        threads=threads,
        editing=editing,
    )


def build_editing(
    settings: Settings,
    file: Path | None,
    environ: Mapping[str, str],
    *,
    labels: tuple[str, ...],
    state: Path,
    teaching: BrowserTeaching | None,
    paused: Callable[[], bool],
) -> Editing | None:
    """What may be changed from the page; None unless it may write.

    `file` is that of the settings, None where they have none: then only rules and gestures are changed. All
    that changes it goes through one `SettingsFile`, whose lock keeps two savers apart.
    """
    if not may_write(settings):
        return None
    from agent.browser_setup import BrowserSetup  # noqa: PLC0415
    from agent.browser_tuning import BrowserTuning  # noqa: PLC0415
    from agent.installation.settings_file import SettingsFile  # noqa: PLC0415
    from agent.installation.starter import parse_action, rule_text  # noqa: PLC0415
    from agent.web.editing import Editing  # noqa: PLC0415
    from agent.web.rule_editor import RuleEditor  # noqa: PLC0415

    def template(rule_id: str, gesture: str, does: str) -> str:
        return rule_text(gesture, parse_action(does), rule_id=rule_id, hold_s=settings.debounce.hold)

    rules = RuleEditor(
        settings.agent.rules,
        labels,
        settings.debounce,
        settings.camera or None,
        state=state,
        template=template,
    )
    if file is None:
        return Editing(rules, teaching=teaching)
    store = SettingsFile(file, environ, state)
    tuning = BrowserTuning(settings, store, environ, labels, state) if settings.trace.enabled else None
    return Editing(rules, BrowserSetup(settings, store, environ, paused), teaching, tuning)


def build_teaching(settings: Settings, folders: Folders) -> BrowserTeaching | None:
    """What teaches gestures from the page; None unless the page may write."""
    if not may_write(settings):
        return None
    from agent.browser_teaching import BrowserTeaching  # noqa: PLC0415

    return BrowserTeaching(settings.recognition, folders.cache, folders.state, settings.camera)


def may_write(settings: Settings) -> bool:
    """Whether the page is on and may change anything."""
    return settings.web.enabled and settings.web.edit
