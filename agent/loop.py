"""The one thread that looks, decides and hands over.

Everything slow or blocking is elsewhere: cameras in their threads, the outbox and the broker in theirs.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import structlog

from agent.config.settings import RestSettings
from agent.core.interpreter import Interpreter, Understood
from agent.core.latency import LatencyWindow
from agent.core.rest import Rest
from agent.core.rules import Book, World
from agent.core.rules.words import public_target
from agent.core.trace import Kind, Moment
from agent.core.types import (
    Action,
    CameraState,
    Frame,
    GestureEnded,
    GestureEvent,
    GestureHeld,
    GestureStarted,
    Sight,
)
from agent.errors import ConfigError, EngineAway

TICK_S = 0.1  # how soon a stop, a request or a covered camera is noticed when no frame comes
SILENCE_S = 0.5  # no frame for this long: the hands of that camera count as gone
HEALTH_S = 60.0
MAX_WISHES = 32  # of other threads, waiting to be answered
REFUSED_CHARS = 2000  # of what is wrong with the rules, in bridge/health
SLOW_S = 1.0  # a step that takes longer is worth a line in the log

log = structlog.get_logger(__name__)


class Frames(Protocol):
    """The mailbox of the cameras."""

    def take(self, timeout_s: float) -> list[Frame]:
        """The newest frame of every camera that has news."""


class Eyes(Protocol):
    """The perception."""

    def see(self, frames: Sequence[Frame]) -> list[Sight]:
        """What is in the frames; at most one frame a camera."""

    def forget(self, camera: str) -> None:
        """The camera was away: whoever stands there when it is back may be somebody else."""


class Camera(Protocol):
    """What the loop needs of a camera's watch."""

    def enable(self, on: bool) -> None:
        """On or off; off closes the device."""


class Out(Protocol):
    """The way out: see `agent.delivery.delivery.Delivery`."""

    def event(self, event: GestureEvent, *, max_age_s: float, zone: str | None) -> str | None:
        """Tell of a gesture."""

    def perform(self, action: Action) -> None:
        """Do what a rule wants."""

    def camera_state(self, camera: str, value: Any, reason: str | None = None) -> None:
        """Tell how a camera is."""

    def armed(self, camera: str, armed: bool, for_s: float | None = None) -> None:
        """Tell the wake state."""

    def enabled(self, on: bool) -> None:
        """Tell whether cameras are in use."""

    def health(self, health: Mapping[str, Any]) -> None:
        """Tell how the agent fares."""

    def with_delivery(self, health: Mapping[str, Any]) -> dict[str, Any]:
        """The same with delivery's own figures."""

    def next_request(self) -> Any | None:
        """A wish from outside."""

    def respond(self, request: Any, data: Mapping[str, Any] | None = None, error: str = "") -> None:
        """Answer it."""


Answer: TypeAlias = tuple[dict[str, Any], str]
"""Data and error of a response; the error is empty where all went well."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What another thread of this process asks for, in the words of `bridge/request/<name>`."""

    name: str
    data: Mapping[str, Any]
    answer: Future[Answer] = field(default_factory=Future)


def _nothing(*_: object) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the loop asks of its surroundings, and what it tells them."""

    world: Callable[[], World]
    load_book: Callable[[], Book] = Book  # the rule files; raises ConfigError
    health: Callable[[], dict[str, Any]] = dict  # the part of bridge/health that the loop does not know
    enabled_changed: Callable[[bool], None] = _nothing
    rules_changed: Callable[[Book], None] = _nothing
    state_changed: Callable[[str], None] = _nothing  # one line for STATUS=
    reloading: Callable[[], None] = _nothing
    reloaded: Callable[[], None] = _nothing
    turned: Callable[[], None] = _nothing  # after every turn: the loop makes progress
    rules_refused: Callable[[str], None] = _nothing  # what is wrong with them; the old ones run on
    looked: Callable[[Frame, Sight], None] = _nothing  # must neither block nor raise
    understood: Callable[[str, float, Understood], None] = _nothing  # camera, time; handed over before
    record: Callable[[Moment], None] = _nothing  # all that the core hears, for a trace; must not raise


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
        self._wishes: queue.Queue[_Wish] = queue.Queue(MAX_WISHES)
        self._latency = LatencyWindow()
        self._stages: dict[str, LatencyWindow] = {}
        self._health_due = clock()
        self._blind: str | None = None  # why nothing can be recognised although there are pictures
        self._blind_since = 0.0
        self._rules_refused: str | None = None  # why the rule files as they are now are not in force
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
        wish = _Wish(name, data or {})
        self._wishes.put_nowait(wish)
        return wish.answer

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
        awake = [frame for frame in frames if self._rest_of(frame.camera).wants(frame.at)]
        if awake and self.enabled:
            self._look(awake)
        self._notice_silence()
        self._answer()
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
            self._latency.add((self._clock() - sight.at) * 1000)
            for stage, ms in sight.stage_ms.items():
                self._stages.setdefault(stage, LatencyWindow()).add(ms)
        took = self._clock() - began
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
        """Tell it at once, and once."""
        before, self._blind = self._blind, reason
        if before == reason:
            return
        if before is None:
            self._blind_since = self._clock()
            log.warning("engine_lost", reason=reason)
        elif reason is None:
            log.info("engine_back", after_s=round(self._clock() - self._blind_since, 1))
        self._hooks.state_changed(self.summary())
        self._health_due = self._clock()

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
            self._rules_judged(str(exc))
            self._hooks.rules_refused(str(exc))
            return str(exc)
        self._mind.reload(book)
        self._rules_judged(None)
        self._hooks.rules_changed(book)
        log.info("rules_loaded", rules=len(book.rules))
        return ""

    def _rules_judged(self, refused: str | None) -> None:
        """In the next health too, at once: whoever saved a bad file may look at no log."""
        self._rules_refused = refused
        self._health_due = self._clock()

    def _answer(self) -> None:
        while (request := self._out.next_request()) is not None:
            data, error = self._fulfil(request.name, request.data)
            self._out.respond(request, data, error)
        while not self._wishes.empty():
            wish = self._wishes.get()
            if wish.answer.set_running_or_notify_cancel():
                wish.answer.set_result(self._fulfil(wish.name, wish.data))

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
        online = sum(state.state == "online" for state in self._states.values())
        cameras = f"{online} of {len(self._cameras)} cameras online"
        return cameras if self._blind is None else f"{cameras}, but nothing is recognised: {self._blind}"

    def health(self) -> dict[str, Any]:
        """The loop's part of `bridge/health`, with that of its surroundings."""
        stages = {name: window.summary() for name, window in self._stages.items()}
        recognition = {"state": "online" if self._blind is None else "away", "reason": self._blind}
        return {
            **self._hooks.health(),
            "recognition": recognition,
            "rules": {
                "count": len(self._mind.rules.book.rules),
                "refused": self._rules_refused and self._rules_refused[:REFUSED_CHARS],
            },
            "latency": self._latency.summary(),
            "stages": stages,
        }

    def _tell_health(self) -> None:
        now = self._clock()
        if now >= self._health_due:
            self._health_due = now + HEALTH_S
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
