"""The composition root: builds every part from the settings, runs them, closes them in reverse."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog

from agent.capture.mailbox import FrameMailbox
from agent.capture.supervisor import CameraSupervisor
from agent.config.folders import make_folders
from agent.config.rules.source import RuleSource
from agent.config.settings import Settings
from agent.config.trace_settings import unknown_gestures
from agent.core.feedback import FeedbackTracker
from agent.core.gesture_pipeline import PipelineResult
from agent.core.rules import RuleContext, RuleSet
from agent.core.rules.asked_values import AskedValues
from agent.delivery.delivery import Delivery
from agent.delivery.outbox.worker import OnPublished
from agent.errors import NO_CAMERA, ConfigError
from agent.health import HealthReporter, gestures_of, info
from agent.inference.build import build_recognizer
from agent.inference.engine import choose_backend, unused_gpu
from agent.inference.pipelined import with_overlap
from agent.loop.loop import Loop
from agent.loop.ports import Hooks
from agent.pipeline import build_pipeline
from agent.service.paused_flag import PausedFlag
from agent.service.signals import signals
from agent.service.systemd import Notifier, StatusLine, Watchdog
from agent.service.trace_files import NullTraceWriter, build_trace_writer
from agent.supervision import Threads
from agent.web_ui import build_web_ui

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
        self.cameras: dict[str, CameraSupervisor] = {}  # filled below: they report to the loop
        self._health = HealthReporter(self.cameras)
        self.threads = Threads()
        self._main = self.threads.watch("loop")
        self._notifier = Notifier(environ)
        self._backend, self._backend_why = choose_backend(settings.recognition.backend)
        self._recognizer = build_recognizer(
            settings.recognition, folders.cache, taught=folders.state, waiting=self._notifier.preparing
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
            log.warning("setting_doubtful", problem=f"debounce.{doubt}")
        self._trace = (
            build_trace_writer(settings, labels, folders.state)
            if settings.trace.enabled
            else NullTraceWriter()
        )
        self._paused = PausedFlag(folders.state)
        self._feedback = FeedbackTracker()
        self.web_ui = build_web_ui(
            settings,
            gestures_of(self._recognizer),
            labels=labels,
            state=folders.state,
            pipeline=self._pipeline,
            health=lambda: self._health.for_page(self.loop, self.delivery),
            progress=lambda: {**self.threads.progress(), "loop": self.loop.steps},
            ask=lambda name, data: self.loop.ask(name, data),  # noqa: PLW0108 (the loop comes later)
            threads=self.threads,
        )
        self._frames = FrameMailbox()
        self.loop = Loop(
            frames=self._frames,
            recognizer=with_overlap(self._recognizer, overlap=settings.recognition.tensorrt.overlap),
            pipeline=self._pipeline,
            sink=self.delivery,
            idle=settings.idle,
            max_age_s=settings.debounce.max_age,
            hooks=self._hooks(),
            clock=time.monotonic,
        )
        for name, camera in settings.camera.items():
            self.cameras[name] = CameraSupervisor(name, camera, self._frames, self.loop.camera_changed)
        self._watchdog = Watchdog(self._notifier, lambda: self.threads.trouble is None)

    def _hooks(self) -> Hooks:
        """What the loop asks of the other parts, and what it tells them."""
        return Hooks(
            load_rules=self._rules.load,
            rules_edited=lambda: self._rules.changed(time.monotonic()),
            context=self._rule_context,
            health=self._health.health,
            enabled_changed=self._enabled_changed,
            camera_changed=self.web_ui.camera_changed,
            rules_changed=self._rules_changed,
            rules_refused=self.web_ui.on_rules_refused,
            state_changed=self._status.tell,
            reloading=self._notifier.reloading,
            reloaded=self._notifier.ready,
            stepped=self._stepped,
            detected=self.web_ui.on_detections,
            processed=self._processed,
            record=self._trace.record,
        )

    def __enter__(self) -> Self:
        """Start everything. Raises `CannotStart`."""
        self.threads.supervise(self.loop.stop)
        try:
            self.delivery.begin(self.cameras, wakes=self._pipeline.rules.rule_set.wake is not None)
            self.delivery.start()
            self.web_ui.start()
            self._rules_changed(self._pipeline.rules.rule_set)
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

    # What one part says to several others.

    def _stepped(self) -> None:
        self._main.moves()
        self._status.step()
        self._watchdog.step()
        self.web_ui.on_step()

    def _processed(self, camera: str, at: float, result: PipelineResult) -> None:
        self.web_ui.on_result(camera, at, result)
        if self.settings.mqtt.feedback:
            armed = self._pipeline.rules.rule_set.wake is not None and self._pipeline.armed(camera, at)
            for feedback in self._feedback.update(camera, at, result, armed=bool(armed)):
                self.delivery.feedback(feedback)

    def _enabled_changed(self, on: bool) -> None:
        self.web_ui.on_enabled(on)
        self._paused.remember(on)

    def _rules_changed(self, rule_set: RuleSet) -> None:
        """Other rules ask for other topics, and are told of."""
        made_of = info(self.settings, self._recognizer, rule_set, self._backend, self._backend_why)
        self.delivery.follow(rule_set.topics, AskedValues(rule_set).fault)
        self.delivery.info(made_of)
        self.delivery.describe(
            version=made_of["version"],
            cameras=made_of["cameras"],
            gestures=made_of["gestures"],
            rules=made_of["rules"],
            wakes=rule_set.wake is not None,
            page=None if self.settings.web.loopback else self.web_ui.url or None,
        )
        self.web_ui.on_rules(rule_set)

    def _rule_context(self) -> RuleContext:
        """What rules may ask besides gestures."""
        return RuleContext(time=dt.datetime.now().astimezone().time(), values=self.delivery.values)


def run_agent(
    settings: Settings, environ: Mapping[str, str] = os.environ, on_published: OnPublished | None = None
) -> bool:
    """The daemon, until it is stopped by a signal; True when a restart was asked for over MQTT."""
    agent = Agent(settings, environ, on_published)
    with signals(agent.loop.stop, agent.loop.reload), agent:
        return agent.run()
