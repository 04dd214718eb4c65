"""Web page of the agent: observers for the main loop that never block, `start` and `close`."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog

from agent.config.settings import WebSettings
from agent.core.gesture_pipeline import GesturePipeline, PipelineResult
from agent.core.rules import RuleSet
from agent.core.rules.formatting import describe_actions, describe_conditions
from agent.core.types import CameraState, Detections
from agent.supervision import Threads
from agent.web.auth import TokenAuth, read_token
from agent.web.broadcaster import SEND_S, Broadcaster
from agent.web.dashboard import About, DashboardState
from agent.web.editing import NO_EDITING, Editing
from agent.web.headers import security_headers
from agent.web.limits.attempts import Attempts
from agent.web.limits.connections import ConnectionLimits
from agent.web.limits.protocol import ConnectionPolicy
from agent.web.limits.refusals import Refusals
from agent.web.metrics import Metrics
from agent.web.near_miss import hands_of
from agent.web.preview import Preview
from agent.web.progress_monitor import ProgressMonitor
from agent.web.routes import Ask, Routes
from agent.web.security import SecurityMiddleware
from agent.web.server import Server, bind
from agent.web.streams import Streams
from agent.web.update_queue import (
    CameraChanged,
    HealthUpdate,
    RulesInForce,
    RulesRefused,
    RuleSummary,
    StepUpdate,
    Switched,
    UpdateQueue,
)

HEALTH_S = 1.0

log = structlog.get_logger(__name__)


class WebPage:
    """Web server and dashboard; fed by the main loop, served from a thread of its own."""

    def __init__(
        self,
        settings: WebSettings,
        about: About,
        *,
        pipeline: GesturePipeline,
        health: Callable[[], Mapping[str, Any]],
        progress: Callable[[], Mapping[str, int]],
        ask: Ask,
        threads: Threads | None = None,
        editing: Editing = NO_EDITING,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        send_s: float = SEND_S,
    ) -> None:
        """Build the web page.

        `health` is called in the loop's thread; `progress` and `ask` in the web thread. `editing` says what
        may be changed from the page. Raises `ConfigError` for an unusable token.
        """
        self.url = ""
        self._settings, self._pipeline, self._health, self._clock = settings, pipeline, health, clock
        self._health_due, self._send_s = clock(), send_s
        self._detections: dict[str, Detections] = {}
        self.updates = UpdateQueue()
        self.broadcaster = Broadcaster()
        self._dashboard = DashboardState(about, clock, wall)
        self._preview = Preview(clock) if settings.preview else None
        self._progress_monitor = ProgressMonitor(progress, clock)
        auth = TokenAuth(read_token(settings), wall)
        attempts, refusals = Attempts(clock), Refusals(clock)
        policy = ConnectionPolicy(ConnectionLimits(), attempts, refusals, security_headers(settings.origins))
        self._metrics = Metrics(self._dashboard, self.broadcaster, self.updates, self._preview, policy)
        streams = Streams(self.broadcaster, self._dashboard, self._preview, send_s)
        site = Routes(
            dashboard=self._dashboard,
            broadcaster=self.broadcaster,
            streams=streams,
            metrics=self._metrics,
            progress_monitor=self._progress_monitor,
            auth=auth,
            attempts=attempts,
            refusals=refusals,
            ask=ask,
            editing=editing,
        )
        guard = SecurityMiddleware(site.app(), settings, auth, attempts, refusals)
        self._server = Server(guard, policy, self._fetch, threads)

    # Lifecycle.

    def start(self) -> None:
        """Bind the address and start the web thread.

        Raises `ConfigError` when the address is not available.
        """
        listener = bind(self._settings, self._send_s)
        self.url = address(self._settings, listener)
        self._server.start(listener)
        log.info(
            "web_page_ready",
            url=self.url,
            token=self._settings.token is not None,
            preview=self._settings.preview,
        )

    @property
    def connections(self) -> int:
        """Number of open HTTP connections."""
        return self._server.connections

    def close(self) -> None:
        """Stop the server and its thread; takes seconds at most."""
        self._server.close()

    # Called in the loop's thread.

    def on_detections(self, detections: Detections) -> None:
        """Take the detections of a frame for the preview."""
        self._detections[detections.camera] = detections
        if self._preview is not None:
            self._preview.on_detections(detections)

    def on_result(self, camera: str, at: float, result: PipelineResult) -> None:
        """Take the pipeline's result for a frame, or for a step without one."""
        detections = self._detections.pop(camera, None)
        now = self._clock()
        wakes = self._pipeline.rules.rule_set.wake is not None
        armed = self._pipeline.armed(camera, now) if wakes else None
        hands, near = hands_of(self._pipeline, result)
        self.updates.put(
            StepUpdate(
                camera,
                at,
                latency_s=None if detections is None else now - detections.at,
                people=detections.people if detections else 0,
                hands=hands,
                near=near,
                events=result.events,
                actions=result.actions,
                armed=armed is not None if wakes else None,
                verdicts=result.verdicts,
                armed_until=None if armed is None else armed.until,
            )
        )

    def on_step(self) -> None:
        """Send health once a second; called after every turn of the loop."""
        if self._clock() >= self._health_due:
            self._health_due = self._clock() + HEALTH_S
            self.updates.put(HealthUpdate(self._health()))

    def on_enabled(self, on: bool) -> None:
        """Enable or disable; disabling drops all preview pictures."""
        if self._preview is not None:
            self._preview.switched(on)
        self.updates.put(Switched(on))
        self._health_due = self._clock()

    def camera_changed(self, state: CameraState) -> None:
        """Take a new state of a camera: online, offline or disabled."""
        if self._preview is not None:
            self._preview.camera_changed(state)
        self.updates.put(CameraChanged(state))

    def on_rules(self, rule_set: RuleSet) -> None:
        """Take the rules that are in force now."""
        thresholds = {
            by: number for number, by in enumerate(dict.fromkeys(r.thresholds for r in rule_set.rules))
        }
        words = (
            RuleSummary(
                rule.id,
                describe_conditions(rule),
                describe_actions(rule),
                rule.continue_matching,
                thresholds[rule.thresholds],
            )
            for rule in rule_set.rules
        )
        self.updates.put(RulesInForce(tuple(words)))

    def on_rules_refused(self, problem: str) -> None:
        """Take note that changed rule files were refused."""
        self.updates.put(RulesRefused(problem))

    # Called in the web thread.

    async def _fetch(self) -> None:
        """Read updates of the loop and broadcast the messages, until cancelled."""
        loop, update = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(update.set)

        self.updates.attach(wake)
        while True:
            for item in self.updates.take():
                if isinstance(item, StepUpdate) and item.latency_s is not None:
                    self._metrics.observe(item.camera, item.latency_s)
                for message in self._dashboard.apply(item):
                    self.broadcaster.broadcast(message)
            if self._preview is not None:
                self._preview.on_step()
            self._progress_monitor.check()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(update.wait(), HEALTH_S)
            update.clear()


def address(settings: WebSettings, listener: socket.socket) -> str:
    """Return the URL of the page."""
    host, port = listener.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 (compared, not bound)
        host = socket.gethostname()
    elif settings.loopback:
        host = "localhost" if settings.host == "localhost" else host
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
