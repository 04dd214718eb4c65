"""The composition root: builds every part from the settings, runs them, closes them in reverse."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog

from agent.capture.latest import Latest
from agent.capture.watch import CameraWatch
from agent.config.folders import make_folders
from agent.config.mind import build_interpreter, not_gestures
from agent.config.rule_source import RuleSource
from agent.config.settings import Settings
from agent.core.rules import Book, World
from agent.core.rules.asked_values import AskedValues
from agent.delivery.delivery import Delivery
from agent.delivery.outbox.drain import OnPublished
from agent.errors import NO_CAMERA, ConfigError
from agent.inference.ahead import eyes_of
from agent.inference.build import build_perception
from agent.inference.engine import choose_backend, unused_gpu
from agent.loop.loop import Loop
from agent.loop.surroundings import Hooks
from agent.page import build_page
from agent.service.pause import Pause
from agent.service.signals import signals
from agent.service.systemd import Notifier, StatusLine, Watchdog
from agent.service.trace import NoRing, build_ring
from agent.supervision import Threads
from agent.vitals import Vitals, gestures_of, info

if TYPE_CHECKING:
    from typing_extensions import Self

log = structlog.get_logger(__name__)


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
            raise ConfigError(NO_CAMERA)
        self.settings = settings
        folders = make_folders(settings.agent, environ)
        self.cameras: dict[str, CameraWatch] = {}  # filled below: they report to the loop
        self._vitals = Vitals(self.cameras)
        self.threads = Threads()
        self._main = self.threads.watch("loop")
        self._notifier = Notifier(environ)
        self._backend, self._backend_why = choose_backend(settings.recognition.backend)
        self._perception = build_perception(
            settings.recognition, folders.cache, taught=folders.state, waiting=self._notifier.preparing
        )
        self._vitals.unused_gpu = unused_gpu(settings.recognition.backend, self._perception.backends)
        labels = self._perception.labels
        self.delivery = Delivery(
            settings.agent.id,
            settings.mqtt,
            settings.outbox,
            folders.state,
            actions=settings.actions,
            homeassistant=settings.homeassistant,
            on_published=on_published,
            threads=self.threads,
        )
        self._status = StatusLine(self._notifier, lambda: self.delivery.trouble)
        self._rules = RuleSource(settings, labels)
        self._mind = build_interpreter(settings, labels, self._rules.load())
        for doubt in not_gestures(settings.debounce, labels):
            log.warning("setting_doubtful", problem=f"debounce.{doubt}")
        self._trace = build_ring(settings, labels, folders.state) if settings.trace.enabled else NoRing()
        self._pause = Pause(folders.state)
        self.page = build_page(
            settings,
            gestures_of(self._perception),
            mind=self._mind,
            vitals=lambda: self._vitals.for_page(self.loop, self.delivery),
            progress=lambda: {**self.threads.progress(), "loop": self.loop.turns},
            ask=lambda name, data: self.loop.ask(name, data),  # noqa: PLW0108 (the loop comes later)
            threads=self.threads,
        )
        self._frames = Latest()
        self.loop = Loop(
            frames=self._frames,
            eyes=eyes_of(self._perception, overlap=settings.recognition.tensorrt.overlap),
            mind=self._mind,
            out=self.delivery,
            rest=settings.rest,
            max_age_s=settings.debounce.max_age,
            hooks=self._hooks(),
            clock=time.monotonic,
        )
        for name, camera in settings.camera.items():
            self.cameras[name] = CameraWatch(name, camera, self._frames, self.loop.camera_changed)
        self._watchdog = Watchdog(self._notifier, lambda: self.threads.trouble is None)

    def _hooks(self) -> Hooks:
        """What the loop asks of the other parts, and what it tells them."""
        return Hooks(
            load_book=self._rules.load,
            rules_edited=lambda: self._rules.changed(time.monotonic()),
            world=self._world,
            health=self._vitals.health,
            enabled_changed=self._enabled_changed,
            camera_changed=self.page.camera_changed,
            rules_changed=self._use,
            rules_refused=self.page.refuse,
            state_changed=self._status.tell,
            reloading=self._notifier.reloading,
            reloaded=self._notifier.ready,
            turned=self._turned,
            looked=self.page.looked,
            understood=self.page.understood,
            record=self._trace.record,
        )

    def __enter__(self) -> Self:
        """Start everything. Raises `CannotStart`."""
        self.threads.supervise(self.loop.stop)
        try:
            self.delivery.begin(self.cameras, wakes=self._mind.rules.book.wake is not None)
            self.delivery.start()
            self.page.start()
            self._use(self._mind.rules.book)
            self.loop.watch(self.cameras, enabled=not self._pause.on)
            for camera in self.cameras.values():
                camera.start()
        except BaseException:
            self.close()
            raise
        self._notifier.ready()
        log.info("backend_chosen", backend=self._backend, why=self._backend_why)
        if self._vitals.unused_gpu:
            log.warning("gpu_unused", problem=self._vitals.unused_gpu)
        log.info("agent_ready", cameras=list(self.cameras), broker=self.delivery.status().broker)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self) -> bool:
        """Until `loop.stop`, or until all files are played; True when a restart was asked for.

        Raises `ThreadFailed` when a thread has died or stands still: the process is to end.
        """
        self._main.begins()
        try:
            self.loop.run(lambda: all(camera.finished for camera in self.cameras.values()))
        finally:
            self._main.ends()
        self.threads.check()
        return self.loop.restart_wanted

    def close(self) -> None:
        """Close what was built, in reverse."""
        self._notifier.stopping()
        self.page.close()
        for camera in self.cameras.values():
            camera.close()
        self._frames.close()
        self.loop.finish()
        self._trace.close()
        self.delivery.close()
        self._perception.close()
        self.threads.close()
        log.info("agent_stopped")

    # What one part says to several others.

    def _turned(self) -> None:
        self._main.moves()
        self._status.turn()
        self._watchdog.turn()
        self.page.turned()

    def _enabled_changed(self, on: bool) -> None:
        self.page.switched(on)
        self._pause.remember(on)

    def _use(self, book: Book) -> None:
        """Other rules ask for other topics, and are told of."""
        made_of = info(self.settings, self._perception, book, self._backend, self._backend_why)
        self.delivery.follow(book.topics, AskedValues(book).fault)
        self.delivery.info(made_of)
        self.delivery.describe(
            version=made_of["version"],
            cameras=made_of["cameras"],
            gestures=made_of["gestures"],
            rules=made_of["rules"],
            wakes=book.wake is not None,
            page=None if self.settings.web.loopback else self.page.url or None,
        )
        self.page.use(book)

    def _world(self) -> World:
        """What rules may ask besides gestures."""
        return World(time=dt.datetime.now().astimezone().time(), values=self.delivery.values)


def run_agent(
    settings: Settings, environ: Mapping[str, str] = os.environ, on_published: OnPublished | None = None
) -> bool:
    """The daemon, until it is stopped by a signal; True when a restart was asked for over MQTT."""
    agent = Agent(settings, environ, on_published)
    with signals(agent.loop.stop, agent.loop.reload), agent:
        return agent.run()
