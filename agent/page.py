"""The page in the browser, or none: a web server is imported only where one is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol

from agent import __version__
from agent.config.settings import Settings
from agent.core.interpreter import Interpreter, Understood
from agent.core.rules import Book
from agent.core.types import CameraState, Frame, Sight
from agent.supervision import Threads


class Page(Protocol):
    """What the agent tells its page (see `agent.web.page.WebPage`). None of it blocks."""

    url: str
    """Where a browser finds it, once it is started; empty where there is none."""

    def start(self) -> None:
        """Raises `ConfigError` when the address cannot be had."""

    def close(self) -> None:
        """Takes seconds at most."""

    def looked(self, frame: Frame, sight: Sight) -> None:
        """A frame was looked at."""

    def understood(self, camera: str, at: float, understood: Understood) -> None:
        """That is what came of it, or of its absence."""

    def turned(self) -> None:
        """After every turn of the loop."""

    def switched(self, on: bool, /) -> None:
        """The cameras were switched on or off."""

    def camera_changed(self, state: CameraState) -> None:
        """A camera came, went or was switched off."""

    def use(self, book: Book) -> None:
        """Other rules are in force."""

    def refuse(self, problem: str) -> None:
        """Other rules were wrong."""


class NoPage:
    """Nobody looks."""

    url = ""

    def start(self) -> None:
        """Nothing starts."""

    def close(self) -> None:
        """Nothing is open."""

    def looked(self, frame: Frame, sight: Sight) -> None:
        """Dropped."""

    def understood(self, camera: str, at: float, understood: Understood) -> None:
        """Dropped."""

    def turned(self) -> None:
        """Dropped."""

    def switched(self, on: bool, /) -> None:
        """Dropped."""

    def camera_changed(self, state: CameraState) -> None:
        """Dropped."""

    def use(self, book: Book) -> None:
        """Dropped."""

    def refuse(self, problem: str) -> None:
        """Dropped."""


def build_page(
    settings: Settings,
    gestures: list[str],
    *,
    mind: Interpreter,
    vitals: Callable[[], Mapping[str, Any]],
    progress: Callable[[], Mapping[str, int]],
    ask: Callable[[str, Mapping[str, Any]], Future[Any]],
    threads: Threads | None = None,
) -> Page:
    """As the settings want it; the callables as `WebPage` has them. Raises `ConfigError`."""
    if not settings.web.enabled:
        return NoPage()
    from agent.web.board import About  # noqa: PLC0415
    from agent.web.page import WebPage  # noqa: PLC0415 (a web server)

    about = About(
        agent=settings.agent.id,
        version=__version__,
        gestures=tuple(gestures),
        cameras=tuple(settings.camera),
        hold_ms=settings.debounce.hold * 1000,
        preview=settings.web.preview,
    )
    return WebPage(settings.web, about, mind=mind, vitals=vitals, progress=progress, ask=ask, threads=threads)
