"""From smoothed probabilities to gestures that start, go on and end.

Each hand has one gesture that is *on* at most, and one that is *forming* at most:

    nothing   --score >= confidence, hand held for it-->       forming
    forming   --score < keep-->                                nothing
    forming   --hold seconds, and both as at first-->          on         GestureStarted
    on        --score >= keep-->                               on         GestureHeld
    on        --score < keep-->                                releasing
    releasing --score >= keep-->                               on         GestureHeld
    releasing --release seconds-->                             nothing    GestureEnded

Another gesture may form while one is on or releasing; once it is formed it ends the one before, so an
end always stands between two starts of a hand. A gesture that has just ended may form, but does not
start again before `cooldown` seconds have passed. Whether it is meant (`intent`) counts for the beginning
alone: a hand that sinks keeps what is on, and that it is still is asked when the hold is over. Time comes
from the readings alone; after a gap of more than `GAP_S` nothing is known to have gone on: what was on ends,
what was forming forms anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeGuard

from agent.core.intent import Intent, Obstacle, intent_of, settled
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

EPSILON_S = 1e-6  # 0.1 + 0.2 is not 0.3: durations are compared with this much mercy
IDLE_S = 10.0  # a hand that is idle for longer is dropped from memory


@dataclass(frozen=True, slots=True)
class PendingGesture:
    """A gesture on its way; `progress` is 0..1 of the hold, for dwell rings."""

    camera: str
    person: int
    hand: Hand
    gesture: str
    progress: float
    place: Place | None


@dataclass(frozen=True, slots=True)
class HandState:
    """How one hand stands: what is on, what is forming, what may not start again yet.

    Times are those of readings. `away_since`: since when the gesture that is on is not seen.
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
    hold_s: float = 0.0  # that the forming gesture must be held for
    obstacle: Obstacle | None = None  # what keeps a sure gesture from beginning, or from starting


@dataclass(frozen=True, slots=True)
class HandProgress:
    """How far one hand is with its gesture: what a dwell ring is drawn from.

    `gesture` is the one that is forming, else the one that is on, and `score` its smoothed
    probability; `ring` is 0..1 of its hold, 1 while it is on. `on` stays named while another forms.
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
    held_back: str = ""  # in words, what keeps a gesture that is sure enough from beginning


@dataclass(slots=True)
class _ActiveGesture:
    """One gesture of one hand, forming or on."""

    label: int  # index
    since: float
    person: int
    hand: Hand
    score: float = 0.0
    seen_at: float = 0.0
    away_since: float | None = None
    hold_s: float = 0.0  # as long as it must be held to start


@dataclass(slots=True)
class _DebounceState:
    camera: str
    at: float
    on: _ActiveGesture | None = None
    pending: _ActiveGesture | None = None
    ended: dict[int, float] = field(default_factory=dict)  # label: when it last ended
    place: Place | None = None
    obstacle: Obstacle | None = None  # what keeps the best gesture of the newest reading from beginning


class Debouncer:
    """Feed smoothed readings; get events."""

    def __init__(self, thresholds: Thresholds, labels: Sequence[str]) -> None:
        self.thresholds = thresholds
        self._labels = tuple(labels)
        self._gestures = [i for i, label in enumerate(self._labels) if label != NO_GESTURE]
        self._asked = [thresholds.required_confidence(label) for label in self._labels]
        self._hands: dict[tuple[str, int, str], _DebounceState] = {}

    def feed(self, observation: HandObservation) -> list[GestureEvent]:
        """Events of one hand, in order. A reading that is not newer than the last one is ignored."""
        state = self._hands.get(observation.key) or self._new(observation)
        if abs(observation.at - state.at) > GAP_S:
            state.ended = {label: at for label, at in state.ended.items() if at <= observation.at}
            return [*self._reset(state, observation.at), *self._step(state, observation)]
        return list(self._step(state, observation)) if observation.at > state.at else []

    def end(self, camera: str, at: float) -> list[GestureEvent]:
        """End all that is on in a camera's view, at once: it was paused or closed."""
        states = [(key, state) for key, state in self._hands.items() if state.camera == camera]
        for key, _ in states:
            del self._hands[key]
        return [event for _, state in states for event in self._reset(state, at)]

    def pending(self) -> list[PendingGesture]:
        """Every gesture that is forming, as of its hand's newest reading."""
        return [
            PendingGesture(s.camera, f.person, f.hand, self._labels[f.label], self._progress(s, f), s.place)
            for s in self._hands.values()
            if (f := s.pending)
        ]

    def hand_state(self, observation: HandObservation) -> HandState:
        """How a reading's hand stands after that reading was fed."""
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
        """How far a smoothed reading's hand is after that reading was fed."""
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
        seen = observation.place is not None  # scores fade out over a few readings
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
        """A hand not heard of; those that are long idle are dropped from memory on the way."""
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
        if forming and scores[forming.label] < limits.keep:
            forming = None
        best = max(self._gestures, key=scores.__getitem__, default=None)
        intent = None if best is None else self._intent(state, best, scores[best], observation)
        state.obstacle = intent.obstacle if intent else None
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
        """The hold is over, and the gesture is as sure, and as much meant, as when it began to form."""
        intent = self._intent(state, new.label, new.score, observation)
        if not self._begins(intent, new.score):
            return False
        held = state.at - new.since >= new.hold_s - EPSILON_S
        if not held or self._cooldown_left(state, new.label) > EPSILON_S:
            return False
        state.obstacle = settled(observation, self.thresholds)
        return state.obstacle is None

    def _intent(
        self, state: _DebounceState, label: int, score: float, observation: HandObservation
    ) -> Intent | None:
        """None where it makes no difference: the gesture is not sure enough."""
        if score < self._asked[label]:
            return None
        forming = state.pending
        if forming and forming.label == label and observation.onset_s is not None:
            # What counts is how long it took until it began to form: holding it is no hesitation.
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
        """`held_s` counts until the gesture was last seen: the release is not part of it."""
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
