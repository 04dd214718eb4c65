"""Frames in, events and actions out, turn by turn.

Everything slow or blocking is elsewhere: cameras in their threads, the outbox and the broker in theirs.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import structlog

from agent.config.settings import RestSettings
from agent.core.interpreter import Interpreter, Understood
from agent.core.rest import Rest
from agent.core.rules import World
from agent.core.rules.words import public_target
from agent.core.trace import Kind, Moment
from agent.core.types import (
    CameraState,
    Frame,
    GestureEnded,
    GestureEvent,
    GestureHeld,
    GestureStarted,
    Sight,
)
from agent.errors import ConfigError, EngineAway
from agent.loop.health import Health
from agent.loop.requests import Answer, Requests
from agent.loop.surroundings import Camera, Eyes, Frames, Hooks, Out

TICK_S = 0.1  # how soon a stop, a request or a covered camera is noticed when no frame comes
SILENCE_S = 0.5  # no frame for this long: the hands of that camera count as gone
SLOW_S = 1.0  # a step that takes longer is worth a line in the log

log = structlog.get_logger(__name__)


class Loop:
    """Turns frames into events and actions until it is stopped."""

    def __init__(
        self,
        *,
        frames: Frames,
        eyes: Eyes,
        mind: Interpreter,
        out: Out,
        rest: RestSettings,
        max_age_s: float,
        hooks: Hooks,
        clock: Callable[[], float],
    ) -> None:
        self.turns = 0  # progress, for the watchdog
        self.enabled = True
        self.restart_wanted = False
        self._frames, self._eyes, self._mind, self._out = frames, eyes, mind, out
        self._rest_settings, self._max_age_s = rest, max_age_s
        self._hooks, self._clock = hooks, clock
        self._cameras: dict[str, Camera] = {}
        self._rests: dict[str, Rest] = {}
        self._last_frame_at: dict[str, float] = {}
        self._states: dict[str, CameraState] = {}
        self._told_armed: dict[str, bool] = {}
        self._news: queue.SimpleQueue[CameraState] = queue.SimpleQueue()
        self._requests = Requests(out, self._fulfil)
        self._health = Health(clock)
        self._reload_wanted = False
        self._stopping = False

    # From other threads and from signal handlers.

    def camera_changed(self, state: CameraState) -> None:
        """A camera came, went or was switched off; told by its watching thread."""
        self._news.put(state)

    def stop(self) -> None:
        """Leave `run` after the present turn."""
        self._stopping = True

    def reload(self) -> None:
        """Read the rules again in the next turn."""
        self._reload_wanted = True

    def ask(self, name: str, data: Mapping[str, Any] | None = None) -> Future[Answer]:
        """Fulfil a request as if it had come over MQTT, in the loop's own thread.

        Raises `queue.Full` when too many wait already. After `stop` nothing is answered any more.
        """
        return self._requests.ask(name, data or {})

    # The loop's own thread.

    def watch(self, cameras: Mapping[str, Camera], *, enabled: bool) -> None:
        """The cameras whose frames will come, and whether they may be opened at all."""
        self._cameras = dict(cameras)
        self.set_enabled(enabled)

    def run(self, finished: Callable[[], bool] = lambda: False) -> None:
        """Turn until `stop`, or until `finished` says that no frame will ever come again."""
        while not self._stopping:
            frames = self._frames.take(TICK_S)
            self.turn(frames)
            if not frames and finished():
                return

    def finish(self) -> None:
        """The cameras are closed: end what is still on, and tell it."""
        self._hear_cameras()
        for camera in self._cameras:
            self._end(camera)

    def turn(self, frames: Sequence[Frame]) -> None:
        """One step: look, decide, hand over, then what else is due."""
        self._hear_cameras()
        awake = [frame for frame in frames if self._rest_of(frame.camera).wants(frame.at, frame.image)]
        if awake and self.enabled:
            self._look(awake)
        self._notice_silence()
        self._requests.answer()
        if self._reload_wanted:
            self._reload_wanted = False
            self._hooks.reloading()
            self.reload_rules()
            self._hooks.reloaded()
        self._tell_armed()
        self._tell_health()
        self.turns += 1
        self._hooks.turned()

    def _rest_of(self, camera: str) -> Rest:
        if camera not in self._rests:
            self._rests[camera] = Rest(self._rest_settings.fps, self._rest_settings.after)
        return self._rests[camera]

    def _look(self, frames: Sequence[Frame]) -> None:
        began = self._clock()
        by_camera = {frame.camera: frame for frame in frames}
        for sight in self._see(frames):
            self._hooks.looked(by_camera[sight.camera], sight)
            self._rest_of(sight.camera).saw(sight.at, bool(sight.people or sight.hands))
            self._last_frame_at[sight.camera] = sight.at
            world = self._hooks.world()
            self._take_in("frame", sight.camera, sight.at, world, self._mind.see(sight, world))
            self._health.looked(sight)
        took = self._clock() - began
        self._health.worked(took, list(by_camera))
        if took > SLOW_S:
            log.warning("step_slow", took_s=round(took, 2), cameras=[f.camera for f in frames])

    def _see(self, frames: Sequence[Frame]) -> list[Sight]:
        """What the eyes see; nothing while a network that runs elsewhere is away: hands end in silence."""
        try:
            sights = self._eyes.see(frames)
        except EngineAway as exc:
            self._recognition_changed(str(exc))
            for frame in frames:
                self._eyes.forget(frame.camera)
            return []
        self._recognition_changed(None)
        return sights

    def _recognition_changed(self, reason: str | None) -> None:
        if self._health.recognition(reason):
            self._hooks.state_changed(self.summary())

    def _end(self, camera: str) -> None:
        now, world = self._clock(), self._hooks.world()
        self._take_in("stop", camera, now, world, self._mind.stop(camera, now, world))

    def _take_in(self, kind: Kind, camera: str, at: float, world: World, understood: Understood) -> None:
        self._hooks.record(Moment(kind, at, camera, understood.readings, world))
        self._hand_over(understood)
        self._hooks.understood(camera, at, understood)

    def _hand_over(self, understood: Understood) -> None:
        for event in understood.events:
            zone = self._mind.rules.zone_of(event)
            self._out.event(event, max_age_s=self._max_age_s, zone=zone)
            _log_event(event, zone)
        for action in understood.actions:
            self._out.perform(action)
            log.info("rule_fired", rule=action.rule, kind=action.kind, target=action.target)

    def _notice_silence(self) -> None:
        now = self._clock()
        for camera, at in self._last_frame_at.items():
            if now - at > SILENCE_S:
                world = self._hooks.world()
                self._take_in("silence", camera, now, world, self._mind.silence(camera, now, world))

    def _hear_cameras(self) -> None:
        while not self._news.empty():
            state = self._news.get()
            self._states[state.camera] = state
            self._out.camera_state(state.camera, state.state, state.reason or None)
            if state.state != "online":
                self._end(state.camera)
                self._eyes.forget(state.camera)
                self._last_frame_at.pop(state.camera, None)
            self._hooks.state_changed(self.summary())

    # What people ask for.

    def set_enabled(self, on: bool) -> None:
        """Use the cameras or close them. Remembered over restarts: off stays off."""
        self.enabled = on
        for camera in self._cameras.values():
            camera.enable(on)
        self._hooks.enabled_changed(on)
        self._out.enabled(on)
        self._hooks.state_changed(self.summary())
        log.info("recognition_on" if on else "recognition_off")

    def reload_rules(self) -> str:
        """Read the rules again; what is wrong with them, empty when they are in force now."""
        try:
            book = self._hooks.load_book()
        except ConfigError as exc:
            log.error("rules_refused", problem=str(exc), kept="the rules that ran before")
            self._health.rules_judged(str(exc))
            self._hooks.rules_refused(str(exc))
            return str(exc)
        self._mind.reload(book)
        self._health.rules_judged(None)
        self._hooks.rules_changed(book)
        log.info("rules_loaded", rules=len(book.rules))
        return ""

    def _fulfil(self, name: str, data: Mapping[str, Any]) -> Answer:
        """Data and error of a response."""
        if name == "enabled":
            self.set_enabled(bool(data["on"]))
        elif name == "reload":
            error = self.reload_rules()
            return {"rules": len(self._mind.rules.book.rules)}, error
        elif name == "health":
            return self._out.with_delivery(self.health()), ""
        elif name == "test_rule":
            return self._test_rule(str(data["rule"]))
        elif name == "restart":
            self.restart_wanted = True
            self.stop()
        return {}, ""

    def _test_rule(self, rule: str) -> Answer:
        """Do a rule's actions now, as if its gesture had been seen."""
        known = {r.id: r for r in self._mind.rules.book.rules}
        if rule not in known:
            return {}, f"no rule {rule!r}; there are {', '.join(known) or 'none'}"
        camera = next(iter(self._cameras), "test")
        actions = self._mind.rules.rehearse(known[rule], camera, self._clock())
        self._hand_over(Understood(actions=tuple(actions)))
        return {"actions": [f"{a.kind} {public_target(a.kind, a.target)}" for a in actions]}, ""

    # How it fares.

    def summary(self) -> str:
        """One line for `systemctl status`."""
        if not self.enabled:
            return "switched off, cameras are closed"
        blind = self._health.blind
        online = sum(state.state == "online" for state in self._states.values())
        cameras = f"{online} of {len(self._cameras)} cameras online"
        return cameras if blind is None else f"{cameras}, but nothing is recognised: {blind}"

    def health(self) -> dict[str, Any]:
        """The loop's part of `bridge/health`, with that of its surroundings."""
        return {**self._hooks.health(), **self._health.report(len(self._mind.rules.book.rules))}

    def _tell_health(self) -> None:
        if self._health.due():
            self._out.health(self.health())

    def _tell_armed(self) -> None:
        if self._mind.rules.book.wake is None:
            for camera in self._told_armed:  # a reload took the wake gesture away: always armed
                self._out.armed(camera, True)
            self._told_armed.clear()
            return
        now = self._clock()
        for camera in self._states:
            armed = self._mind.armed(camera, now)
            if self._told_armed.get(camera) != (armed is not None):
                self._told_armed[camera] = armed is not None
                self._out.armed(camera, armed is not None, armed.until - now if armed else None)


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
