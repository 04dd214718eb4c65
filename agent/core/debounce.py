"""Debounce: turns smoothed probabilities into gestures that start, continue and end.

Each hand has at most one *active* gesture and at most one *pending* gesture:

        nothing   --score >= confidence, hand held for it-->       pending
        pending   --score < keep, or the hand touches something--> nothing
        pending   --hold seconds, then both conditions again-->    active     GestureStarted
        active    --score >= keep-->                               active     GestureHeld
        active    --score < keep-->                                releasing
        releasing --score >= keep-->                               active     GestureHeld
        releasing --release seconds-->                             nothing    GestureEnded

Another gesture may become pending while one is active or releasing; when it starts it ends the active one, so
a hand always has an end between two starts. A gesture that has just ended may become pending, but does not
start again within `cooldown` seconds. Intent (`intent`) is checked only for starting: a hand that sinks keeps
its active gesture. Hand speed is checked when the hold is over; a hand that touches the face or another hand
before that begins its hold again. All times are those of the observations; after a gap of more than `GAP_S`
the active gesture ends and the pending one starts over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeGuard

from agent.core.intent import TOUCHES, Intent, Obstacle, intent_of, speed_obstacle
from agent.core.smoothing import GAP_S
from agent.core.thresholds import Thresholds
from agent.core.types import (
    NO_GESTURE,
    GestureEnded,
    GestureEvent,
    GestureHeld,
    GestureStarted,
    Hand,
    HandObservation,
    Place,
)

EPSILON_S = 1e-6  # tolerance when durations are compared: 0.1 + 0.2 is not 0.3
IDLE_S = 10.0  # the state of a hand that is idle for longer is dropped


@dataclass(frozen=True, slots=True)
class PendingGesture:
    """A gesture that is being held but has not started; `progress` is 0..1 of the hold, for dwell rings."""

    camera: str
    person: int
    hand: Hand
    gesture: str
    progress: float
    place: Place | None


@dataclass(frozen=True, slots=True)
class HandState:
    """Debounce state of one hand: the active gesture, the pending one, and cooldowns that still run.

    `at`, `on_since`, `away_since` and `pending_since` are times of observations, in seconds. `on` is the
    active gesture; `away_since` is when it was last lost from view, None while it is seen.
    """

    camera: str
    person: int
    hand: Hand
    at: float
    on: str | None = None
    on_since: float = 0.0
    away_since: float | None = None
    pending: str | None = None
    pending_since: float = 0.0
    cooling: tuple[tuple[str, float], ...] = ()  # gesture, seconds left
    hold_s: float = 0.0  # required hold of the pending gesture
    obstacle: Obstacle | None = None  # what keeps a confident gesture from becoming pending or starting


@dataclass(frozen=True, slots=True)
class HandProgress:
    """Progress of one hand towards its gesture, for drawing a dwell ring.

    `gesture` is the pending gesture, else the active one, and `score` its smoothed probability; `ring` is
    0..1 of the hold and 1 while the gesture is active. `on` is the active gesture, also while another is
    pending.
    """

    at: float
    camera: str
    person: int
    hand: Hand
    track: int | None
    place: Place | None
    seen: bool
    phase: Literal["idle", "forming", "on", "releasing"]
    gesture: str | None = None
    score: float = 0.0
    ring: float = 0.0
    held_s: float = 0.0  # since the smoothed gesture first passed the threshold
    on: str | None = None
    held_back: str = ""  # reason, in words, why a confident gesture does not start


@dataclass(slots=True)
class _ActiveGesture:
    """One gesture of one hand, pending or active."""

    label: int  # index into the labels
    since: float
    person: int
    hand: Hand
    score: float = 0.0
    seen_at: float = 0.0
    away_since: float | None = None
    hold_s: float = 0.0  # required hold before it starts


@dataclass(slots=True)
class _DebounceState:
    camera: str
    at: float
    on: _ActiveGesture | None = None
    pending: _ActiveGesture | None = None
    ended: dict[int, float] = field(default_factory=dict)  # label: time of its last end
    place: Place | None = None
    obstacle: Obstacle | None = None  # why the best gesture of the newest observation does not become pending


class Debouncer:
    """Turns smoothed observations of every hand into gesture events, by one set of thresholds."""

    def __init__(self, thresholds: Thresholds, labels: Sequence[str]) -> None:
        self.thresholds = thresholds
        self._labels = tuple(labels)
        self._gestures = [i for i, label in enumerate(self._labels) if label != NO_GESTURE]
        self._asked = [thresholds.required_confidence(label) for label in self._labels]
        self._hands: dict[tuple[str, int, str], _DebounceState] = {}

    def feed(self, observation: HandObservation) -> list[GestureEvent]:
        """Return the events of one hand, in order; an observation not newer than the last one is ignored."""
        state = self._hands.get(observation.key) or self._new(observation)
        if abs(observation.at - state.at) > GAP_S:
            state.ended = {label: at for label, at in state.ended.items() if at <= observation.at}
            return [*self._reset(state, observation.at), *self._step(state, observation)]
        return list(self._step(state, observation)) if observation.at > state.at else []

    def end(self, camera: str, at: float) -> list[GestureEvent]:
        """End every active gesture of a camera at once, because it was paused or closed."""
        states = [(key, state) for key, state in self._hands.items() if state.camera == camera]
        for key, _ in states:
            del self._hands[key]
        return [event for _, state in states for event in self._reset(state, at)]

    def pending(self) -> list[PendingGesture]:
        """Return every pending gesture, as of its hand's newest observation."""
        return [
            PendingGesture(s.camera, f.person, f.hand, self._labels[f.label], self._progress(s, f), s.place)
            for s in self._hands.values()
            if (f := s.pending)
        ]

    def hand_state(self, observation: HandObservation) -> HandState:
        """Return the debounce state of an observation's hand; call it after `feed` of that observation."""
        state = self._hands.get(observation.key) or _DebounceState(observation.camera, observation.at)
        on, forming = state.on, state.pending
        lefts = {label: self._cooldown_left(state, label) for label in state.ended}
        return HandState(
            observation.camera,
            observation.person,
            observation.hand,
            state.at,
            on=self._labels[on.label] if on else None,
            on_since=on.since if on else 0.0,
            away_since=on.away_since if on else None,
            pending=self._labels[forming.label] if forming else None,
            pending_since=forming.since if forming else 0.0,
            cooling=tuple((self._labels[i], left) for i, left in lefts.items() if left > EPSILON_S),
            hold_s=forming.hold_s if forming else 0.0,
            obstacle=state.obstacle,
        )

    def progress(self, observation: HandObservation) -> HandProgress:
        """Return the progress of a smoothed observation's hand; call it after `feed` of that observation."""
        state = self._hands.get(observation.key)
        span = (state.pending or state.on) if state else None
        who = (
            observation.at,
            observation.camera,
            observation.person,
            observation.hand,
            observation.track,
            observation.place,
        )
        seen = observation.place is not None  # scores fade out over a few observations after the hand is lost
        if state is None or span is None:
            why = state.obstacle if state else None
            return HandProgress(*who, seen, "idle", held_back=why.words if why else "")
        forming = span is state.pending
        return HandProgress(
            *who,
            seen,
            "forming" if forming else "on" if span.away_since is None else "releasing",
            self._labels[span.label],
            score=float(observation.scores[span.label]) if observation.scores is not None else 0.0,
            ring=self._progress(state, span) if forming else 1.0,
            held_s=state.at - span.since,
            on=self._labels[state.on.label] if state.on else None,
            held_back=state.obstacle.words if state.obstacle else "",
        )

    def _new(self, observation: HandObservation) -> _DebounceState:
        """Create the state of a new hand and drop states that are long idle."""
        self._hands = {
            key: state
            for key, state in self._hands.items()
            if state.on or self._cooling(state, observation.at) or abs(observation.at - state.at) < IDLE_S
        }
        self._hands[observation.key] = state = _DebounceState(observation.camera, -math.inf)
        return state

    def _step(self, state: _DebounceState, observation: HandObservation) -> Iterator[GestureEvent]:
        scores = [0.0] * len(self._labels) if observation.scores is None else observation.scores.tolist()
        state.at = at = observation.at
        state.place = observation.place or state.place
        self._form(state, observation, scores)
        if state.on:
            yield from self._carry_on(state, state.on, scores[state.on.label])
        if (new := state.pending) and self._formed(state, new, observation):
            if state.on:
                yield self._end(state, state.on, at)
            new.person, new.hand = observation.person, observation.hand
            state.on, state.pending = new, None
            yield self._event(GestureStarted, state, new, at - new.since)

    def _form(self, state: _DebounceState, observation: HandObservation, scores: list[float]) -> None:
        limits, forming = self.thresholds, state.pending
        best = max(self._gestures, key=scores.__getitem__, default=None)
        intent = None if best is None else self._intent(state, best, scores[best], observation)
        state.obstacle = intent.obstacle if intent else None
        touches = state.obstacle is not None and state.obstacle.reason in TOUCHES
        if forming and (touches or scores[forming.label] < limits.keep):
            forming = None
        if best is not None and self._begins(intent, scores[best]):
            if state.on and best == state.on.label:
                forming = None
            elif forming is None or best != forming.label:
                forming = _ActiveGesture(best, observation.at, observation.person, observation.hand)
            if forming:
                forming.hold_s = intent.hold_s
        if forming:
            forming.score, forming.seen_at = scores[forming.label], observation.at
        state.pending = forming

    def _carry_on(self, state: _DebounceState, on: _ActiveGesture, score: float) -> Iterator[GestureEvent]:
        if score >= self.thresholds.keep:
            on.away_since, on.score, on.seen_at = None, score, state.at
            yield self._event(GestureHeld, state, on, state.at - on.since)
            return
        on.away_since = state.at if on.away_since is None else on.away_since
        if state.at - on.away_since >= self.thresholds.release_s - EPSILON_S:
            yield self._end(state, on, state.at)

    def _formed(self, state: _DebounceState, new: _ActiveGesture, observation: HandObservation) -> bool:
        """Whether the hold is over and confidence and intent are still met."""
        intent = self._intent(state, new.label, new.score, observation)
        if not self._begins(intent, new.score):
            return False
        held = state.at - new.since >= new.hold_s - EPSILON_S
        if not held or self._cooldown_left(state, new.label) > EPSILON_S:
            return False
        state.obstacle = speed_obstacle(observation, self.thresholds)
        return state.obstacle is None

    def _intent(
        self, state: _DebounceState, label: int, score: float, observation: HandObservation
    ) -> Intent | None:
        """None where the gesture is not confident enough for intent to matter."""
        if score < self._asked[label]:
            return None
        forming = state.pending
        if forming and forming.label == label and observation.onset_s is not None:
            # Onset ends where the gesture becomes pending; the hold itself must not count as slow onset.
            observation = replace(observation, onset_s=observation.onset_s - (observation.at - forming.since))
        return intent_of(observation, self._labels[label], self.thresholds)

    @staticmethod
    def _begins(intent: Intent | None, score: float) -> TypeGuard[Intent]:
        return intent is not None and intent.meant and score >= intent.confidence

    def _progress(self, state: _DebounceState, new: _ActiveGesture) -> float:
        limits = self.thresholds
        held = (state.at - new.since) / new.hold_s if new.hold_s else 1.0
        cooled = 1 - self._cooldown_left(state, new.label) / limits.cooldown_s if limits.cooldown_s else 1.0
        return max(0.0, min(1.0, held, cooled))

    def _cooldown_left(self, state: _DebounceState, label: int) -> float:
        ended = state.ended.get(label)
        return 0.0 if ended is None else ended + self.thresholds.cooldown_s - state.at

    def _cooling(self, state: _DebounceState, at: float) -> bool:
        return any(0 <= at - ended < self.thresholds.cooldown_s for ended in state.ended.values())

    def _reset(self, state: _DebounceState, at: float) -> Iterator[GestureEvent]:
        state.pending = None
        if state.on:
            yield self._end(state, state.on, at)

    def _end(self, state: _DebounceState, on: _ActiveGesture, at: float) -> GestureEvent:
        """`held_s` runs until the gesture was last seen; the release time is not part of it."""
        state.on = None
        state.ended[on.label] = at
        return self._event(GestureEnded, state, on, on.seen_at - on.since, at)

    def _event(
        self,
        kind: type[GestureEvent],
        state: _DebounceState,
        span: _ActiveGesture,
        held_s: float,
        at: float | None = None,
    ) -> GestureEvent:
        return kind(
            at=state.at if at is None else at,
            camera=state.camera,
            person=span.person,
            hand=span.hand,
            gesture=self._labels[span.label],
            score=span.score,
            held_s=held_s,
            place=state.place,
        )
