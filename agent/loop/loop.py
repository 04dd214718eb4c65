"""Main loop: processes frames into events and actions, step by step.

Nothing here blocks: cameras, outbox and broker have their own threads, and so has reading rules.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import structlog

from agent.config.settings import IdleSettings
from agent.core.gesture_pipeline import GesturePipeline, PipelineResult
from agent.core.idle_throttle import IdleThrottle
from agent.core.occupancy import Occupancy
from agent.core.rules import RuleContext
from agent.core.rules.formatting import public_target
from agent.core.rules.topics import shown_topic, topic_problem
from agent.core.trace import Kind, TraceRecord
from agent.core.types import (
    CameraState,
    Detections,
    Frame,
    GestureEnded,
    GestureEvent,
    GestureHeld,
    GestureStarted,
)
from agent.errors import EngineAway
from agent.loop.loop_health import LoopHealth
from agent.loop.observers import Observers
from agent.loop.ports import (
    Camera,
    ContextProvider,
    EventSink,
    FrameRecognizer,
    Frames,
    HealthProvider,
    NoHealth,
    NoRules,
    RuleProvider,
)
from agent.loop.reloads import LIMIT_S, Reloads
from agent.loop.requests import Answer, Requests
from agent.supervision import Threads

TICK_S = 0.1  # latency of a stop, a request or a camera state when no frame comes
SILENCE_S = 0.5  # time that nothing was recognised of a camera after which its hands count as gone
TOO_SLOW = f"the rules are still being read after {LIMIT_S:g} s; is their folder on a disk that hangs?"
SLOW_S = 1.0  # duration of a step from which it is logged

NOBODY = Observers()

log = structlog.get_logger(__name__)


class Loop:
    """Turns frames into events and actions until it is stopped."""

    def __init__(
        self,
        *,
        frames: Frames,
        recognizer: FrameRecognizer,
        pipeline: GesturePipeline,
        sink: EventSink,
        idle: IdleSettings,
        max_age_s: float,
        context: ContextProvider,
        clock: Callable[[], float],
        rules: RuleProvider | None = None,
        health: HealthProvider | None = None,
        observers: Observers = NOBODY,
        threads: Threads | None = None,
    ) -> None:
        """`max_age_s`: an event older than that is not worth telling. Times come from `clock`, in seconds."""
        self.steps = 0  # progress, for the watchdog
        self.enabled = True
        self.restart_wanted = False
        self._frames, self._recognizer, self._pipeline, self._sink = frames, recognizer, pipeline, sink
        self._idle_settings, self._max_age_s = idle, max_age_s
        self._observers, self._context, self._clock = observers, context, clock
        self._surroundings = health or NoHealth()
        self._cameras: dict[str, Camera] = {}
        self._throttles: dict[str, IdleThrottle] = {}
        self._occupancies: dict[str, Occupancy] = {}
        self._recognized_at: dict[str, float] = {}  # by the loop's clock: a late frame is no silence
        self._last_states: dict[str, CameraState] = {}
        self._told_armed: dict[str, bool] = {}
        self._waking = pipeline.rules.rule_set.wake is not None
        self._camera_states: queue.SimpleQueue[CameraState] = queue.SimpleQueue()
        self._requests = Requests(sink, self._fulfil, clock)
        self._health = LoopHealth(clock)
        self._reloads = Reloads(rules or NoRules(), clock, threads)
        self._reload_wanted = False
        self._stopping = False

    # Called from other threads and from signal handlers.

    def camera_changed(self, state: CameraState) -> None:
        """Queue a camera's change of state; called by its supervising thread."""
        self._camera_states.put(state)

    def stop(self) -> None:
        """Make `run` return after the current step."""
        self._stopping = True

    def reload(self) -> None:
        """Reload the rules in the next step."""
        self._reload_wanted = True

    def ask(self, name: str, data: Mapping[str, Any] | None = None) -> Future[Answer]:
        """Queue a request, answered like one over MQTT, in the loop's own thread.

        Raises `queue.Full` when too many are waiting. After `stop` the future is not completed.
        """
        return self._requests.ask(name, data or {})

    # Called in the loop's own thread.

    def watch(self, cameras: Mapping[str, Camera], *, enabled: bool) -> None:
        """Set the cameras whose frames will come, and whether they are to be opened."""
        self._cameras = dict(cameras)
        self.set_enabled(enabled)

    def run(self, finished: Callable[[], bool] = lambda: False) -> None:
        """Run steps until `stop`, or until `finished` says that no more frames will come."""
        self._reloads.start()
        try:
            while not self._stopping:
                frames = self._frames.take(TICK_S)
                self.step(frames)
                if not frames and finished():
                    return
        finally:
            self._reloads.close()

    def finish(self) -> None:
        """End all active gestures and hand over their events, after the cameras are closed."""
        self._take_camera_states()
        for camera in self._cameras:
            self._end(camera)

    def step(self, frames: Sequence[Frame]) -> None:
        """Run one step: recognise, decide, hand over, then whatever else is due."""
        self._take_camera_states()
        awake = [
            frame
            for frame in frames
            if self._throttle_of(frame.camera).should_process(frame.at, frame.pixels)
        ]
        if awake and self.enabled:
            self._process(awake)
        self._rest(frames)
        self._notice_silence()
        self._requests.answer()
        self._begin_reload()
        self._take_rules()
        self._publish_armed()
        self._publish_health()
        self.steps += 1
        for observer in self._observers.steps:
            observer.on_step()

    def _begin_reload(self) -> None:
        if self._reload_wanted:
            self._reload_wanted = False
            for observer in self._observers.reloads:
                observer.reloading()
            self._reloads.ask().add_done_callback(self._reloaded)

    def _reloaded(self, _: Future[Answer]) -> None:
        for observer in self._observers.reloads:
            observer.ready()

    def _throttle_of(self, camera: str) -> IdleThrottle:
        if camera not in self._throttles:
            self._throttles[camera] = IdleThrottle(self._idle_settings.fps, self._idle_settings.after)
        return self._throttles[camera]

    def _rest(self, frames: Sequence[Frame]) -> None:
        """Tell idle cameras when their next frame will be looked at."""
        for frame in frames:
            until = self._throttle_of(frame.camera).next_look_at(frame.at)
            if until is not None and frame.camera in self._cameras:
                self._cameras[frame.camera].rest_until(until)

    def _process(self, frames: Sequence[Frame]) -> None:
        began = self._clock()
        for detections in self._recognize(frames):
            for observer in self._observers.recognition:
                observer.on_detections(detections)
            self._throttle_of(detections.camera).note_detections(
                detections.at, bool(detections.people or detections.hands)
            )
            self._publish_occupancy(
                detections.camera, detections.at, bool(detections.people or detections.hands)
            )
            self._recognized_at[detections.camera] = self._clock()
            context = self._context.rule_context()
            self._apply_result(
                "frame",
                detections.camera,
                detections.at,
                context,
                self._pipeline.process(detections, context, why=[] if self._observers.recognition else None),
            )
            self._health.note_detections(detections)
        took = self._clock() - began
        self._health.record_step(took, [f.camera for f in frames])
        if took > SLOW_S:
            log.warning("step_slow", took_s=round(took, 2), cameras=[f.camera for f in frames])

    def _recognize(self, frames: Sequence[Frame]) -> list[Detections]:
        """Detections in the frames; empty while a remote network is offline, so that hands end by silence."""
        try:
            all_detections = self._recognizer.recognize(frames)
        except EngineAway as exc:
            self._recognition_changed(str(exc))
            for frame in frames:
                self._recognizer.forget(frame.camera)
                self._reset_occupancy(frame.camera)
            return []
        self._recognition_changed(None)
        return all_detections

    def _publish_occupancy(self, camera: str, at: float, present: bool) -> None:
        changed = self._occupancies.setdefault(camera, Occupancy()).update(at, present)
        if changed is not None:
            self._sink.occupied(camera, changed)

    def _reset_occupancy(self, camera: str) -> None:
        if self._occupancies.setdefault(camera, Occupancy()).reset():
            self._sink.occupied(camera, None)

    def _recognition_changed(self, reason: str | None) -> None:
        if self._health.recognition(reason):
            self._report_summary()

    def _end(self, camera: str) -> None:
        now, context = self._clock(), self._context.rule_context()
        self._apply_result("stop", camera, now, context, self._pipeline.stop(camera, now, context))

    def _apply_result(
        self, kind: Kind, camera: str, at: float, context: RuleContext, result: PipelineResult
    ) -> None:
        record = TraceRecord(kind, at, camera, result.observations, context)
        for recorder in self._observers.recorders:
            recorder.record(record)
        self._deliver(result)
        for observer in self._observers.recognition:
            observer.on_result(camera, at, result)

    def _deliver(self, result: PipelineResult) -> None:
        for event in result.events:
            zone = self._pipeline.rules.zone_of(event)
            self._sink.event(event, max_age_s=self._max_age_s, zone=zone)
            _log_event(event, zone)
        for action in result.actions:
            if action.kind == "publish" and (problem := topic_problem(action.target)):
                log.warning(
                    "action_refused", rule=action.rule, topic=shown_topic(action.target), reason=problem
                )
                continue  # a label or a long name filled in
            self._sink.perform(action)
            target = public_target(action.kind, action.target)
            log.info("rule_fired", rule=action.rule, kind=action.kind, target=target)

    def _notice_silence(self) -> None:
        now = self._clock()
        for camera, at in list(self._recognized_at.items()):
            if now - at > SILENCE_S:
                context = self._context.rule_context()
                result = self._pipeline.process_silence(camera, now, context)
                self._apply_result("silence", camera, now, context, result)
                if not result.observations and self._pipeline.armed(camera, now) is None:
                    del self._recognized_at[camera]  # nothing is left that could end

    def _take_camera_states(self) -> None:
        for _ in range(self._camera_states.qsize()):  # what arrives meanwhile waits for the next step
            state = self._camera_states.get()
            self._last_states[state.camera] = state
            for observer in self._observers.cameras:
                observer.camera_changed(state)
            self._sink.camera_state(state.camera, state.state, state.reason or None)
            if state.state != "online":
                self._end(state.camera)
                self._recognizer.forget(state.camera)
                self._reset_occupancy(state.camera)
                self._recognized_at.pop(state.camera, None)
            self._report_summary()

    # Requests.

    def set_enabled(self, on: bool) -> None:
        """Open or close the cameras, and store the choice so that it survives a restart."""
        self.enabled = on
        for camera in self._cameras.values():
            camera.enable(on)
        for observer in self._observers.enabled:
            observer.on_enabled(on)
        self._sink.enabled(on)
        self._report_summary()
        log.info("recognition_on" if on else "recognition_off")

    def _take_rules(self) -> None:
        """Switch to rules that were loaded meanwhile, or report their problems."""
        if loaded := self._reloads.ready():
            if loaded.rule_set is None:
                self._refuse_rules(loaded.error)
            else:
                self._pipeline.reload(loaded.rule_set)
                self._health.rules_judged(None)
                for observer in self._observers.rules:
                    observer.on_rules(loaded.rule_set)
                log.info("rules_loaded", rules=len(loaded.rule_set.rules))
            self._reloads.answer(loaded, self._rules_now(loaded.error))
        if late := self._reloads.late():
            self._refuse_rules(TOO_SLOW)
            for answer in late:
                answer.set_result(self._rules_now(TOO_SLOW))

    def _refuse_rules(self, problem: str) -> None:
        log.error("rules_refused", problem=problem, kept="the rules that ran before")
        self._health.rules_judged(problem)
        for observer in self._observers.rules:
            observer.on_rules_refused(problem)

    def _rules_now(self, error: str) -> Answer:
        return {"rules": len(self._pipeline.rules.rule_set.rules)}, error

    def _fulfil(self, name: str, data: Mapping[str, Any]) -> Answer | Future[Answer]:
        """Execute a request: data and error of its response, or a future where it takes longer."""
        if name == "enabled":
            if bool(data["on"]) != self.enabled:
                self.set_enabled(bool(data["on"]))
            else:
                self._sink.enabled(self.enabled)
        elif name == "reload":
            return self._reloads.ask()
        elif name == "health":
            return self._sink.with_delivery(self.health()), ""
        elif name == "test_rule":
            return self._test_rule(str(data["rule"]))
        elif name == "restart":
            self.restart_wanted = True
            self.stop()
        return {}, ""

    def _test_rule(self, rule: str) -> Answer:
        """Run a rule's actions now, as if its gesture had been seen."""
        known = {r.id: r for r in self._pipeline.rules.rule_set.rules}
        if rule not in known:
            return {}, f"no rule {rule!r}; there are {', '.join(known) or 'none'}"
        camera = next(iter(self._cameras), "test")
        actions = self._pipeline.rules.simulate(known[rule], camera, self._clock())
        self._deliver(PipelineResult(actions=tuple(actions)))
        return {"actions": [f"{a.kind} {public_target(a.kind, a.target)}" for a in actions]}, ""

    # Status.

    def summary(self) -> str:
        """Return a one-line status for `systemctl status`."""
        if not self.enabled:
            return "switched off, cameras are closed"
        blind = self._health.blind
        online = sum(state.state == "online" for state in self._last_states.values())
        cameras = f"{online} of {len(self._cameras)} cameras online"
        return cameras if blind is None else f"{cameras}, but nothing is recognised: {blind}"

    def _report_summary(self) -> None:
        line = self.summary()
        for observer in self._observers.summary:
            observer.on_summary(line)

    def health(self) -> dict[str, Any]:
        """Return the content of `bridge/health` without delivery's part."""
        return {
            **self._surroundings.health(),
            **self._health.report(len(self._pipeline.rules.rule_set.rules)),
        }

    def _publish_health(self) -> None:
        if self._health.due():
            self._sink.health(self.health())

    def _publish_armed(self) -> None:
        if self._pipeline.rules.rule_set.wake is None:
            if self._waking:  # a reload removed the wake gesture: always armed
                for camera in self._cameras:
                    self._sink.armed(camera, True)
            self._waking = False
            self._told_armed.clear()
            return
        self._waking = True
        now = self._clock()
        for camera in self._last_states:
            armed = self._pipeline.armed(camera, now)
            if self._told_armed.get(camera) != (armed is not None):
                self._told_armed[camera] = armed is not None
                self._sink.armed(camera, armed is not None, armed.until - now if armed else None)


def _log_event(event: GestureEvent, zone: str | None) -> None:
    if isinstance(event, GestureHeld):
        return
    name = {GestureStarted: "gesture_started", GestureEnded: "gesture_ended"}[type(event)]
    where: dict[str, Any] = {"zone": zone} if zone else {}
    log.info(
        name,
        gesture=event.gesture,
        camera=event.camera,
        hand=event.hand,
        person=event.person,
        confidence=round(event.score, 2),
        **where,
    )
