"""Composition root: builds every part from the settings, runs them, closes them in reverse order."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import structlog

from agent.capture.mailbox import FrameMailbox
from agent.capture.source import open_source
from agent.capture.supervisor import CameraSupervisor
from agent.config.folders import make_folders
from agent.config.rules.source import RuleSource
from agent.config.settings import Settings
from agent.config.trace_settings import unknown_gestures
from agent.core.rules import RuleContext, RuleSet
from agent.core.rules.asked_values import AskedValues
from agent.delivery.delivery import Delivery
from agent.delivery.outbox.worker import OnPublished
from agent.errors import NO_CAMERA, ConfigError
from agent.feedback_publisher import FeedbackPublisher
from agent.health import HealthReporter, gestures_of, info
from agent.inference.build import build_recognizer
from agent.inference.engine import choose_backend, unused_gpu
from agent.loop.loop import Loop
from agent.loop.observers import Observers
from agent.pipeline import build_pipeline
from agent.service.memory import Trimmer
from agent.service.paused_flag import PausedFlag
from agent.service.signals import signals
from agent.service.systemd import Notifier, StatusLine, Watchdog
from agent.service.trace_files import NullTraceWriter, build_trace_writer
from agent.supervision import Threads
from agent.web_ui import build_editing, build_teaching, build_web_ui, may_write

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

log = structlog.get_logger(__name__)


class Agent:
    """The assembled agent; as a context manager it starts all parts and closes them in reverse."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str] = os.environ,
        on_published: OnPublished | None = None,
        settings_file: Path | None = None,
    ) -> None:
        """Build all parts. Raises `CannotStart` for errors that the user has to correct.

        `settings_file` is where the page may change settings; without a camera the agent starts only where
        the page can set one up.
        """
        if not settings.camera and not (settings_file and may_write(settings)):
            raise ConfigError(NO_CAMERA)
        self.settings = settings
        folders = make_folders(settings.agent, environ)
        self.cameras: dict[str, CameraSupervisor] = {}  # filled below: the parts report to the loop
        self._health = HealthReporter(self.cameras)
        self.threads = Threads()
        self._main = self.threads.watch("loop")
        self._notifier = Notifier(environ)
        self._backend, self._backend_why = choose_backend(settings.recognition.backend)
        self._recognizer = build_recognizer(
            settings.recognition,
            folders.cache,
            taught=folders.state,
            waiting=self._notifier.preparing,
            threads=self.threads,
        )
        self._health.unused_gpu = unused_gpu(settings.recognition.backend, self._recognizer.backends)
        labels = self._recognizer.labels
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
        self._pipeline = build_pipeline(settings, labels, self._rules.load())
        for doubt in unknown_gestures(settings.debounce, labels):
            log.warning("setting_warning", problem=f"debounce.{doubt}")
        self._trace = (
            build_trace_writer(settings, labels, folders.state, self.threads)
            if settings.trace.enabled
            else NullTraceWriter()
        )
        self._paused = PausedFlag(folders.state)
        self._watchdog = Watchdog(self._notifier, lambda: self.threads.trouble is None)
        self._teaching = build_teaching(settings, folders)
        self.web_ui = build_web_ui(
            settings,
            gestures_of(self._recognizer),
            pipeline=self._pipeline,
            health=lambda: self._health.for_page(self.loop, self.delivery),
            progress=lambda: {**self.threads.progress(), "loop": self.loop.steps},
            ask=lambda name, data: self.loop.ask(name, data),  # noqa: PLW0108 (the loop is built later)
            editing=build_editing(
                settings,
                settings_file,
                environ,
                labels=labels,
                state=folders.state,
                teaching=self._teaching,
                paused=lambda: not self.loop.enabled,
            ),
            threads=self.threads,
        )
        self._frames = FrameMailbox()
        self.loop = Loop(
            frames=self._frames,
            recognizer=self._recognizer,
            pipeline=self._pipeline,
            sink=self.delivery,
            idle=settings.idle,
            max_age_s=settings.debounce.max_age,
            context=self,
            clock=time.monotonic,
            rules=self._rules,
            health=self._health,
            observers=self._observers(),
            threads=self.threads,
        )
        make = partial(open_source, memory=self._recognizer.frame_memory)
        for name, camera in settings.camera.items():
            self.cameras[name] = CameraSupervisor(
                name, camera, self._frames, self.loop.camera_changed, make=make, threads=self.threads
            )

    @property
    def page_url(self) -> str:
        """URL of the web page, once started; empty where there is none."""
        return "" if self.web_ui is None else self.web_ui.url

    def _observers(self) -> Observers:
        """The loop's callbacks to the other parts."""
        feedback = FeedbackPublisher(self._pipeline, self.delivery.feedback)
        teaching = [self._teaching] if self._teaching else []
        page = () if self.web_ui is None else (self.web_ui,)
        return Observers(
            recognition=(*page, *teaching, *([feedback] if self.settings.mqtt.feedback else [])),
            cameras=page,
            enabled=(*page, self._paused),
            rules=(self, *page),
            reloads=(self._notifier,),
            steps=(self, self._status, self._watchdog, Trimmer(time.monotonic), *page),
            summary=(self._status,),
            recorders=(self._trace,),
        )

    def __enter__(self) -> Self:
        """Start all parts. Raises `CannotStart`; parts already started are closed."""
        self.threads.supervise(self.loop.stop)
        try:
            self.delivery.begin(self.cameras, wakes=self._pipeline.rules.rule_set.wake is not None)
            self.delivery.start()
            if self.web_ui is not None:
                self.web_ui.start()
            self.on_rules(self._pipeline.rules.rule_set)
            if self.web_ui is not None:
                self.web_ui.on_rules(self._pipeline.rules.rule_set)
            self.loop.watch(self.cameras, enabled=not self._paused.on)
            for camera in self.cameras.values():
                camera.start()
        except BaseException:
            self.close()
            raise
        self._notifier.ready()
        log.info("backend_chosen", backend=self._backend, why=self._backend_why)
        if self._health.unused_gpu:
            log.warning("gpu_unused", problem=self._health.unused_gpu)
        if not self.cameras:
            log.warning("no_camera_yet", problem="no camera is set; the page sets one up", page=self.page_url)
        log.info("agent_ready", cameras=list(self.cameras), broker=self.delivery.status().broker)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self) -> bool:
        """Run until `loop.stop`, or until all files are played; return True when a restart was requested.

        Raises `ThreadFailed` when a thread has died or hangs, so that the process ends.
        """
        self._main.begins()
        try:
            self.loop.run(self._all_played)
        finally:
            self._main.ends()
        self.threads.check()
        return self.loop.restart_wanted

    def _all_played(self) -> bool:
        """Whether no more frames will come; without a camera the page waits for one to be set up."""
        return bool(self.cameras) and all(camera.finished for camera in self.cameras.values())

    def close(self) -> None:
        """Close all parts in reverse order of construction."""
        self._notifier.stopping()
        if self.web_ui is not None:
            self.web_ui.close()
        for camera in self.cameras.values():
            camera.close()
        self._frames.close()
        self.loop.finish()
        self._trace.close()
        self.delivery.close()
        self._recognizer.close()
        self.threads.close()
        log.info("agent_stopped")

    # As an observer of the loop, and a provider to it.

    def on_step(self) -> None:
        """The main thread moves."""
        self._main.moves()

    def on_rules(self, rule_set: RuleSet) -> None:
        """Subscribe to the topics of the new rules, and publish the rules."""
        made_of = info(self.settings, self._recognizer, rule_set, self._backend, self._backend_why)
        self.delivery.follow(rule_set.topics, AskedValues(rule_set).fault)
        self.delivery.info(made_of)
        self.delivery.describe(
            version=made_of["version"],
            cameras=made_of["cameras"],
            gestures=made_of["gestures"],
            rules=made_of["rules"],
            wakes=rule_set.wake is not None,
            page=None if self.settings.web.loopback else self.page_url or None,
        )

    def on_rules_refused(self, problem: str) -> None:
        """Nothing changes for delivery."""

    def rule_context(self) -> RuleContext:
        """What rules may ask besides gestures."""
        return RuleContext(time=dt.datetime.now().astimezone().time(), values=self.delivery.values)


def run_agent(
    settings: Settings,
    environ: Mapping[str, str] = os.environ,
    on_published: OnPublished | None = None,
    settings_file: Path | None = None,
) -> bool:
    """Run the daemon until a signal stops it; return whether a restart was requested."""
    agent = Agent(settings, environ, on_published, settings_file)
    with signals(agent.loop.stop, agent.loop.reload), agent:
        return agent.run()
