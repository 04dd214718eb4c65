"""The composition root: builds every part from the settings, runs them, closes them in reverse."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from agent import __version__
from agent.capture.latest import Latest
from agent.capture.watch import CameraWatch
from agent.config.changes import Changes
from agent.config.folders import cache_folder, state_folder
from agent.config.rule_files import RuleBook, keys_at_rest, read_rules
from agent.config.settings import Settings
from agent.core.interpreter import Interpreter
from agent.core.rules import Book, World
from agent.core.thresholds import thresholds_of
from agent.core.trace import Header, Moment
from agent.core.types import NO_GESTURE
from agent.delivery.delivery import Delivery
from agent.delivery.drain import OnPublished
from agent.errors import ConfigError
from agent.inference.ahead import Ahead
from agent.inference.engine import choose_backend
from agent.inference.perception import Perception, build_perception
from agent.loop import Hooks, Loop
from agent.service.systemd import Notifier, Watchdog
from agent.service.trace import FOLDER, Ring

if TYPE_CHECKING:
    from typing_extensions import Self

    from agent.web.page import WebPage

PAUSED = "paused"  # a file in the state folder: the cameras stay closed over restarts

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Folders:
    """Where this agent keeps things; both exist."""

    state: Path
    cache: Path


def make_folders(settings: Settings, environ: Mapping[str, str]) -> Folders:
    """Create what is missing. Raises `ConfigError` that names the folder and the setting."""
    folders = Folders(state_folder(settings.agent, environ), cache_folder(settings.agent, environ))
    for folder, setting in ((folders.state, "agent.state_dir"), (folders.cache, "agent.cache_dir")):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # what waits in the outbox is nobody else's
        except OSError as exc:
            raise ConfigError(f"{folder}: {exc.strerror}; make it writable or set {setting}") from exc
    return folders


def load_rules(settings: Settings, labels: tuple[str, ...]) -> RuleBook:
    """The rules of the settings' folder. Raises `ConfigError` with every problem."""
    rules = read_rules(settings.agent.rules, labels, settings.debounce, settings.camera)
    for warning in rules.warnings:
        log.warning("rule_doubtful", problem=str(warning))
    if not settings.actions.keys and (doubt := keys_at_rest(rules.book)):
        log.warning("rule_doubtful", problem=doubt)
    return rules


def build_interpreter(settings: Settings, labels: tuple[str, ...], book: Book) -> Interpreter:
    """The core, as the settings want it."""
    return Interpreter(
        labels,
        smoothing_s=settings.debounce.smoothing,
        thresholds=thresholds_of(settings.debounce),
        book=book,
    )


def trace_header(settings: Settings, labels: tuple[str, ...], at: float = 0.0) -> Header:
    """What a trace must know of the settings under which it is recorded."""
    return Header(
        at=at,
        labels=labels,
        smoothing_s=settings.debounce.smoothing,
        thresholds=thresholds_of(settings.debounce),
        settings=_fingerprint(settings),
    )


def build_ring(settings: Settings, labels: tuple[str, ...], state: Path) -> Ring:
    """The ring of traces in the state folder."""
    return Ring(
        state / FOLDER,
        trace_header(settings, labels),
        size_bytes=settings.trace.bytes,
        keep_s=settings.trace.keep,
        wall=time.time,
    )


class Agent:
    """All parts, built. As a context it starts them, and closes them in reverse."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str] = os.environ,
        on_published: OnPublished | None = None,
    ) -> None:
        """Raises `CannotStart` for whatever a person must mend."""
        if not settings.camera:
            raise ConfigError(
                'no camera is set; write [camera.front] and source = "v4l2:/dev/video0" into config.toml'
            )
        self.settings = settings
        self._folders = make_folders(settings, environ)
        self._notifier = Notifier(environ)
        self._watchdog: Watchdog | None = None
        self._state = "starting"  # what `systemctl status` shows
        self._trouble: str | None = None
        self._started_at = time.monotonic()
        self._rule_files = Changes(settings.agent.rules)
        self._backend, self._backend_why = choose_backend(settings.recognition.backend)
        self._perception = build_perception(
            settings.recognition,
            self._folders.cache,
            taught=self._folders.state,
            waiting=self._preparing,
        )
        labels = self._perception.labels
        self._frames = Latest()
        self.delivery = Delivery(
            settings.agent.id,
            settings.mqtt,
            settings.outbox,
            self._folders.state,
            actions=settings.actions,
            homeassistant=settings.homeassistant,
            on_published=on_published,
        )
        book = load_rules(settings, labels).book
        self._mind = build_interpreter(settings, labels, book)
        self._ring = build_ring(settings, labels, self._folders.state) if settings.trace.enabled else None
        hooks = Hooks(
            load_book=lambda: load_rules(settings, labels).book,
            world=self._world,
            health=self._health,
            enabled_changed=self._remember_enabled,
            rules_changed=self._use_book,
            state_changed=self._tell_state,
            reloading=self._notifier.reloading,
            reloaded=self._notifier.ready,
            turned=self._turned,
            record=self._record,
        )
        self.page = self._build_page() if settings.web.enabled else None
        if self.page is not None:
            page = self.page
            hooks = replace(hooks, looked=page.looked, understood=page.understood, rules_refused=page.refuse)
        self.loop = Loop(
            frames=self._frames,
            eyes=self._eyes(),
            mind=self._mind,
            out=self.delivery,
            rest=settings.rest,
            max_age_s=settings.debounce.max_age,
            hooks=hooks,
            clock=time.monotonic,
        )
        self.cameras = {
            name: CameraWatch(name, camera, self._frames, self.loop.camera_changed)
            for name, camera in settings.camera.items()
        }

    def __enter__(self) -> Self:
        """Start everything. Raises `CannotStart`."""
        try:
            self.delivery.start()
            if self.page is not None:
                self.page.start()
            self._use_book(self._mind.rules.book)
            self.loop.watch(self.cameras, enabled=not self._paused.exists())
            for camera in self.cameras.values():
                camera.start()
        except BaseException:
            self.close()
            raise
        self._watchdog = Watchdog(self._notifier, lambda: (self.loop.turns, self.delivery.progress))
        self._notifier.ready()
        log.info("backend_chosen", backend=self._backend, why=self._backend_why)
        log.info("agent_ready", cameras=list(self.cameras), broker=self.delivery.status().broker)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self) -> bool:
        """Until `loop.stop`, or until all files are played; True when a restart was asked for."""
        self.loop.run(self._all_played)
        return self.loop.restart_wanted

    def close(self) -> None:
        """Close what was built, in reverse."""
        self._notifier.stopping()
        if self.page is not None:
            self.page.close()
        for camera in self.cameras.values():
            camera.close()
        self._frames.close()
        self.loop.finish()
        if self._ring is not None:
            self._ring.close()
        self.delivery.close()
        self._perception.close()
        log.info("agent_stopped")

    def _eyes(self) -> Perception | Ahead:
        """One frame ahead where the settings say so, and a GPU works while the CPU goes on."""
        on_gpu = set(self._perception.backends.values()) == {"tensorrt"}
        ahead = self.settings.recognition.tensorrt.overlap and on_gpu
        return Ahead(self._perception) if ahead else self._perception

    def _preparing(self, line: str, seconds: float) -> None:
        """The start takes long, as when TensorRT builds its plans: systemd shall see why, and wait."""
        self._notifier.status(line)
        self._notifier.extend_start(seconds)

    def _tell_state(self, line: str) -> None:
        """One line for `systemctl status`, with what is wrong with the broker if something is."""
        self._state, self._trouble = line, self.delivery.trouble
        self._notifier.status(f"{line}; broker: {self._trouble}" if self._trouble else line)

    def _turned(self) -> None:
        if self.delivery.trouble != self._trouble:
            self._tell_state(self._state)
        if self._watchdog is not None:
            self._watchdog.turn()
        if self.page is not None:
            self.page.turned()
        if self._rule_files.changed(time.monotonic()):
            self.loop.reload()

    def _build_page(self) -> WebPage:
        """The page in the browser. Raises `ConfigError`."""
        from agent.web.board import About  # noqa: PLC0415
        from agent.web.page import WebPage  # noqa: PLC0415 (a web server, only where one is wanted)

        about = About(
            agent=self.settings.agent.id,
            version=__version__,
            gestures=tuple(label for label in self._perception.labels if label != NO_GESTURE),
            cameras=tuple(self.settings.camera),
            hold_ms=self.settings.debounce.hold * 1000,
            preview=self.settings.web.preview,
        )
        return WebPage(
            self.settings.web,
            about,
            mind=self._mind,
            vitals=self._vitals,
            progress=lambda: {"loop": self.loop.turns, "outbox": self.delivery.progress},
            ask=lambda name, data: self.loop.ask(name, data),  # noqa: PLW0108 (the loop comes later)
        )

    def _vitals(self) -> dict[str, Any]:
        """`bridge/health`, and what the page shows besides."""
        health, status = self.delivery.with_delivery(self.loop.health()), self.delivery.status()
        for name, camera in self.cameras.items():
            health["camera"][name]["reason"] = camera.state.reason
        broker = {"url": status.broker, "connected": status.connected, "trouble": status.trouble}
        return {**health, "enabled": self.loop.enabled, "broker": broker}

    def _record(self, moment: Moment) -> None:
        if self._ring is not None:
            self._ring.record(moment)

    def _use_book(self, book: Book) -> None:
        """Other rules ask for other topics, and are told of."""
        info = self._info()
        self.delivery.follow(book.topics)
        self.delivery.info(info)
        self.delivery.describe(
            version=info["version"],
            cameras=info["cameras"],
            gestures=info["gestures"],
            backend=info["backend"],
            wakes=book.wake is not None,
            page=self.page.url if self.page is not None and not self.settings.web.loopback else None,
        )
        if self.page is not None:
            self.page.use(book)

    def _world(self) -> World:
        """What rules may ask besides gestures."""
        return World(time=dt.datetime.now().astimezone().time(), values=self.delivery.values)

    def _all_played(self) -> bool:
        return all(camera.finished for camera in self.cameras.values())

    @property
    def _paused(self) -> Path:
        return self._folders.state / PAUSED

    def _remember_enabled(self, on: bool) -> None:
        if self.page is not None:
            self.page.switched(on)
        try:
            if on:
                self._paused.unlink(missing_ok=True)
            else:
                self._paused.touch()
        except OSError as exc:
            log.error("pause_not_remembered", file=str(self._paused), reason=exc.strerror)

    def _info(self) -> dict[str, Any]:
        """`bridge/info`: what this agent is made of."""
        return {
            "version": __version__,
            "config": _fingerprint(self.settings),
            "backend": self._backend,
            "backend_why": self._backend_why,
            "backends": self._perception.backends,
            "models": self._perception.models,
            "gestures": [label for label in self._perception.labels if label != NO_GESTURE],
            "rules": [rule.id for rule in self._mind.rules.book.rules],
            "cameras": list(self.settings.camera),
        }

    def _health(self) -> dict[str, Any]:
        """The agent's part of `bridge/health`."""
        cameras = {}
        for name, camera in self.cameras.items():
            counters = camera.counters
            cameras[name] = {
                "state": camera.state.state,
                "fps": round(counters.fps, 1),
                "frames": counters.frames,
                "dropped": counters.dropped,
                "stalls": counters.stalls,
            }
        return {
            "uptime_s": round(time.monotonic() - self._started_at),
            "camera": cameras,
            "rss_mb": round(_rss_bytes() / 1e6, 1),
            "threads": threading.active_count(),
        }


def _fingerprint(settings: Settings) -> str:
    """Tells two configurations apart without telling what is in them."""
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:12]


def _rss_bytes() -> int:
    """Memory in use now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


@contextmanager
def signals(stop: Callable[[], None], reload: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT stop, SIGHUP reads the rules again; the old handlers come back at the end."""
    handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}
    before = {number: signal.signal(number, lambda *_, act=act: act()) for number, act in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_agent(
    settings: Settings, environ: Mapping[str, str] = os.environ, on_published: OnPublished | None = None
) -> bool:
    """The daemon, until it is stopped by a signal; True when a restart was asked for over MQTT."""
    agent = Agent(settings, environ, on_published)
    with signals(agent.loop.stop, agent.loop.reload), agent:
        return agent.run()
