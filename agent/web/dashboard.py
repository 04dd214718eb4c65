"""State of the dashboard, and the messages that its changes cause. Used by the web thread only."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from agent.core.feedback import FeedbackTracker
from agent.core.gesture_pipeline import PipelineResult
from agent.core.rules.formatting import public_target
from agent.core.types import GestureEnded, GestureEvent, GestureStarted
from agent.web import messages
from agent.web.messages import WebMessage
from agent.web.near_miss import NearMiss, why_not
from agent.web.update_queue import (
    CameraChanged,
    HealthUpdate,
    RulesInForce,
    RulesRefused,
    RuleSummary,
    StepUpdate,
    Switched,
    Update,
)

LOG_SIZE = 200  # entries
AGAIN_MS = 3000  # seconds without a firing after which a repeating rule, such as a dial, is logged again
MISSED_S = 0.5  # seconds after which an almost recognised gesture is logged
MISSED_AGAIN_S = 10.0  # seconds before the same one is logged again
SERIES_S = 180  # points of the latency chart


@dataclass(frozen=True, slots=True)
class About:
    """Facts about the agent that do not change while it runs."""

    agent: str
    version: str
    gestures: tuple[str, ...]
    cameras: tuple[str, ...]
    hold_ms: float
    preview: bool
    edit: bool = False  # rule files may be changed in the browser
    setup: bool = False  # so may cameras and broker
    teach: bool = False  # gestures may be taught
    tune: bool = False  # thresholds may be changed


@dataclass(frozen=True, slots=True)
class Wake:
    """Wake state of a camera's rules (None: no wake gesture), and until when."""

    armed: bool | None
    until: float | None = None  # by the clock of the dashboard


class DashboardState:
    """Takes updates, returns messages. `clock` is the one of the updates, `wall` seconds since 1970."""

    def __init__(self, about: About, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self.about = about
        self.started: Counter[tuple[str, str]] = Counter()  # (camera, gesture)
        self.fired: Counter[str] = Counter()  # rule
        self.health: Mapping[str, Any] = {}
        self._clock, self._wall = clock, wall
        self._armed: dict[str, Wake] = {}
        self._shown: dict[str, bool] = {}  # cameras whose hands were in the last message
        self._states: dict[str, tuple[str, str]] = {}
        self._enabled: bool | None = None
        self._rules: tuple[RuleSummary, ...] = ()
        self._fired_ms: dict[str, float] = {}
        self._near: dict[str, dict[tuple[int, str], tuple[float, NearMiss]]] = {}  # camera, hand: since when
        self._feedback = FeedbackTracker()
        self._missed_at: dict[tuple[str, str], float] = {}  # camera, gesture: its last log line
        self._trouble = ""
        self._log: deque[dict[str, Any]] = deque(maxlen=LOG_SIZE)
        self._second: list[float] = []
        self._series: deque[dict[str, float]] = deque(maxlen=SERIES_S)

    # Queries.

    def hello(self) -> WebMessage:
        """Build the first message of every stream."""
        facts = {**asdict(self.about), "protocol": messages.PROTOCOL, "ts_ms": self._ms(self._clock())}
        states = {name: {"state": state, "reason": why} for name, (state, why) in self._states.items()}
        return messages.message(
            "hello", {**facts, "enabled": self._enabled, **self._wakes(), "camera": states}
        )

    def snapshot(self) -> dict[str, Any]:
        """Return all state but the hands, as `/api/state` gives it."""
        return {
            "about": asdict(self.about),
            "ts_ms": self._ms(self._clock()),
            "enabled": self._enabled,
            **self._wakes(),
            "health": self.health,
            "rules": [
                {**asdict(rule), "fired": self.fired[rule.id], "last_ms": self._fired_ms.get(rule.id)}
                for rule in self._rules
            ],
            "trouble": self._trouble,
            "series": list(self._series),
            "log": list(self._log),
        }

    def started_all(self) -> list[tuple[tuple[str, str], int]]:
        """Return how often each gesture started at each camera, zeros included."""
        known = {(camera, gesture): 0 for camera in self.about.cameras for gesture in self.about.gestures}
        return list({**known, **self.started}.items())

    def fired_all(self) -> list[tuple[str, int]]:
        """Return how often each rule fired, zeros included."""
        return list({**{rule.id: 0 for rule in self._rules}, **self.fired}.items())

    # Updates.

    def apply(self, update: Update) -> Iterator[WebMessage]:
        """Apply an update and return the messages to send, in order."""
        if isinstance(update, StepUpdate):
            yield from self._stepped(update)
        elif isinstance(update, HealthUpdate):
            yield from self._health_messages(update.health)
        elif isinstance(update, Switched):
            yield from self._switched(update.on)
        elif isinstance(update, CameraChanged):
            yield from self._camera(update.state.camera, update.state.state, update.state.reason)
        elif isinstance(update, RulesInForce):
            self._rules, self._trouble = update.rules, ""
            yield from self._note("rules", text=f"{len(update.rules)} rules are in force")
            yield self._rules_message()
        elif isinstance(update, RulesRefused):
            self._trouble = update.problem
            yield from self._note(
                "trouble", text="the rule files were refused; the previous rules stay in force"
            )
            yield self._rules_message()

    def note(self, kind: str, text: str) -> WebMessage:
        """Add a log entry for an action of a user and return the messages."""
        return next(self._note(kind, text=text))

    def _stepped(self, turn: StepUpdate) -> Iterator[WebMessage]:
        ts_ms = self._ms(turn.at)
        if turn.latency_s is not None:
            self._second.append(turn.latency_s * 1000)
        yield from self._progress(turn, ts_ms)
        for event in turn.events:
            if isinstance(event, GestureStarted | GestureEnded):
                yield messages.gesture(
                    event, ts_ms=ts_ms, latency_ms=round((self._clock() - turn.at) * 1000, 1)
                )
            if isinstance(event, GestureStarted):
                self.started[turn.camera, event.gesture] += 1
                yield from self._note(
                    "gesture",
                    at=turn.at,
                    camera=turn.camera,
                    gesture=event.gesture,
                    person=event.person,
                    hand=event.hand,
                    confidence=round(event.score, 3),
                    why=why_not([verdict for verdict in turn.verdicts if _same_hand(verdict.event, event)]),
                )
        for rule in dict.fromkeys(action.rule for action in turn.actions):
            goes_on = ts_ms - self._fired_ms.get(rule, 0.0) < AGAIN_MS
            self.fired[rule] += 1
            self._fired_ms[rule] = ts_ms
            does = "; ".join(
                f"{a.kind} {public_target(a.kind, a.target)}" for a in turn.actions if a.rule == rule
            )
            fields = {"rule": rule, "camera": turn.camera, "ts_ms": ts_ms, "fired": self.fired[rule]}
            yield messages.message("rule", fields)
            if not goes_on:
                yield from self._note("rule", at=turn.at, camera=turn.camera, rule=rule, text=does)
        yield from self._feedback_messages(turn, ts_ms)
        yield from self._missed(turn)
        yield from self._wake(turn.camera, Wake(turn.armed, turn.armed_until), ts_ms)

    def _progress(self, turn: StepUpdate, ts_ms: float) -> Iterator[WebMessage]:
        """Progress message while a hand is seen or a gesture is active, and once afterwards."""
        live = self._live(turn.camera)
        hands = [messages.hand(told) for told in turn.hands if live and (told.seen or told.phase != "idle")]
        if hands or self._shown.get(turn.camera):
            self._shown[turn.camera] = bool(hands)
            people = turn.people if live else 0
            fields = {"camera": turn.camera, "ts_ms": ts_ms, "people": people, "hands": hands}
            yield messages.message("progress", fields, slot=f"progress {turn.camera}")

    def _feedback_messages(self, turn: StepUpdate, ts_ms: float) -> Iterator[WebMessage]:
        """For the sounds of a page: the same as over MQTT."""
        result = PipelineResult(turn.events, turn.actions, verdicts=turn.verdicts)
        for told in self._feedback.update(turn.camera, turn.at, result, armed=bool(turn.armed)):
            fields = {"feedback": told.kind, "camera": told.camera, "rule": told.rule, "ts_ms": ts_ms}
            yield messages.message("feedback", fields)

    def _missed(self, turn: StepUpdate) -> Iterator[WebMessage]:
        """Log line for a gesture that was almost recognised for a while."""
        begun = {(e.person, e.hand) for e in turn.events if isinstance(e, GestureStarted)}
        now = {(near.person, near.hand): near for near in turn.near}
        past = self._near.get(turn.camera, {})
        kept: dict[tuple[int, str], tuple[float, NearMiss]] = {}
        for who, near in now.items():
            since, before = past.get(who, (turn.at, near))
            same = before.gesture == near.gesture
            best = before if same and before.score > near.score else near
            kept[who] = (since if same else turn.at), best
        self._near[turn.camera] = kept
        for who, (since, near) in past.items():
            over = who not in now or now[who].gesture != near.gesture
            again = turn.at - self._missed_at.get((turn.camera, near.gesture), float("-inf")) < MISSED_AGAIN_S
            if over and who not in begun and not again and turn.at - since >= MISSED_S:
                self._missed_at[turn.camera, near.gesture] = turn.at
                yield from self._note(
                    "near",
                    at=turn.at,
                    camera=turn.camera,
                    gesture=near.gesture,
                    hand=near.hand,
                    why=[near.why],
                )

    def _wake(self, camera: str, wake: Wake, ts_ms: float) -> Iterator[WebMessage]:
        """Wake state of a camera; a closed camera's rules never listen."""
        if not self._live(camera) and wake.armed:
            wake = Wake(armed=False)
        if self._armed.get(camera) != wake:
            self._armed[camera] = wake
            until_ms = None if wake.until is None else self._ms(wake.until)
            fields = {"camera": camera, "ts_ms": ts_ms, "armed": wake.armed, "until_ms": until_ms}
            yield messages.message("armed", fields)

    def _live(self, camera: str) -> bool:
        """Whether the camera is in use."""
        return self._enabled is not False and self._states.get(camera, ("online", ""))[0] == "online"

    def _switched(self, on: bool) -> Iterator[WebMessage]:
        """Enable or disable: clears what was seen before."""
        if on != self._enabled:
            self._enabled = on
            yield messages.message("enabled", {"enabled": on})
            for camera in self.about.cameras:
                yield from self._blank(camera)

    def _camera(self, name: str, state: str, reason: str) -> Iterator[WebMessage]:
        if self._states.get(name) == (state, reason):
            return
        self._states[name] = (state, reason)
        yield messages.message("camera", {"camera": name, "state": state, "reason": reason})
        yield from self._note("camera", camera=name, text=": ".join(filter(None, (state, reason))))
        yield from self._blank(name)

    def _blank(self, camera: str) -> Iterator[WebMessage]:
        """Clear what is shown of a camera that is not in use."""
        if self._live(camera):
            return
        ts_ms = self._ms(self._clock())
        yield from self._progress(StepUpdate(camera, self._clock(), None, 0), ts_ms)
        if camera in self._armed:
            yield from self._wake(camera, self._armed[camera], ts_ms)

    def _wakes(self) -> dict[str, Any]:
        return {
            "armed": {name: wake.armed for name, wake in self._armed.items()},
            "armed_until_ms": {
                name: self._ms(wake.until) for name, wake in self._armed.items() if wake.until is not None
            },
        }

    def _health_messages(self, health: Mapping[str, Any]) -> Iterator[WebMessage]:
        """Once a second: camera states, `enabled`, and a point of the chart."""
        self.health = health
        for name, camera in health.get("camera", {}).items():
            yield from self._camera(name, camera["state"], camera.get("reason", ""))
        enabled = health.get("enabled")
        if isinstance(enabled, bool):
            yield from self._switched(enabled)
        point = self._point()
        yield messages.message(
            "vitals", {"health": health, "point": point, "enabled": self._enabled}, slot="vitals", page=True
        )

    def _point(self) -> dict[str, float]:
        """Frames of the last second, their median and maximum latency in ms."""
        spent, self._second = sorted(self._second), []
        point = {"ts_ms": self._ms(self._clock()), "frames": len(spent)}
        if spent:
            point |= {"mid_ms": round(spent[len(spent) // 2], 1), "max_ms": round(spent[-1], 1)}
        self._series.append(point)
        return point

    def _rules_message(self) -> WebMessage:
        state = self.snapshot()
        return messages.message("rules", {"rules": state["rules"], "trouble": state["trouble"]}, page=True)

    def _note(self, kind: str, at: float | None = None, **facts: Any) -> Iterator[WebMessage]:
        entry = {"kind": kind, "ts_ms": self._ms(self._clock() if at is None else at), **facts}
        self._log.append(entry)
        yield messages.message("log", {"entry": entry}, page=True)

    def _ms(self, at: float) -> float:
        """Convert a time of `clock` to milliseconds since 1970."""
        return round((self._wall() - (self._clock() - at)) * 1000, 1)


def _same_hand(one: GestureEvent, other: GestureEvent) -> bool:
    return (one.person, one.hand, one.gesture) == (other.person, other.hand, other.gesture)
