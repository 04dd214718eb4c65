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
start again before `cooldown` seconds have passed. How the hand is held (raised, upright, away from the
face) counts for the beginning alone: a hand that sinks keeps what is on. Time comes from the readings
alone; after a gap of more than `GAP_S` nothing is known to have gone on: what was on ends, what was
forming forms anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from agent.core.smoothing import GAP_S
from agent.core.thresholds import Thresholds, in_the_way
from agent.core.types import (
    NO_GESTURE,
    GestureEnded,
    GestureEvent,
    GestureHeld,
    GestureStarted,
    Hand,
    Place,
    Reading,
)

EPSILON_S = 1e-6  # 0.1 + 0.2 is not 0.3: durations are compared with this much mercy
IDLE_S = 10.0  # a hand that is idle for longer is dropped from memory


@dataclass(frozen=True, slots=True)
class Forming:
    """A gesture on its way; `progress` is 0..1 of the hold, for dwell rings."""

    camera: str
    person: int
    hand: Hand
    gesture: str
    progress: float
    place: Place | None


@dataclass(frozen=True, slots=True)
class Standing:
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
    forming: str | None = None
    forming_since: float = 0.0
    cooling: tuple[tuple[str, float], ...] = ()  # gesture, seconds left


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
class _Span:
    """One gesture of one hand, forming or on."""

    label: int  # index
    since: float
    person: int
    hand: Hand
    score: float = 0.0
    seen_at: float = 0.0
    away_since: float | None = None


@dataclass(slots=True)
class _HandState:
    camera: str
    at: float
    on: _Span | None = None
    forming: _Span | None = None
    ended: dict[int, float] = field(default_factory=dict)  # label: when it last ended
    place: Place | None = None


class Debouncer:
    """Feed smoothed readings; get events."""

    def __init__(self, thresholds: Thresholds, labels: Sequence[str]) -> None:
        self.thresholds = thresholds
        self._labels = tuple(labels)
        self._gestures = [i for i, label in enumerate(self._labels) if label != NO_GESTURE]
        self._asked = [thresholds.asks(label) for label in self._labels]
        self._hands: dict[tuple[str, int, str], _HandState] = {}

    def feed(self, reading: Reading) -> list[GestureEvent]:
        """Events of one hand, in order. A reading that is not newer than the last one is ignored."""
        state = self._hands.get(reading.key) or self._new(reading)
        if abs(reading.at - state.at) > GAP_S:
            state.ended = {label: at for label, at in state.ended.items() if at <= reading.at}
            return [*self._reset(state, reading.at), *self._step(state, reading)]
        return list(self._step(state, reading)) if reading.at > state.at else []

    def end(self, camera: str, at: float) -> list[GestureEvent]:
        """End all that is on in a camera's view, at once: it was paused or closed."""
        states = [(key, state) for key, state in self._hands.items() if state.camera == camera]
        for key, _ in states:
            del self._hands[key]
        return [event for _, state in states for event in self._reset(state, at)]

    def forming(self) -> list[Forming]:
        """Every gesture that is forming, as of its hand's newest reading."""
        return [
            Forming(s.camera, f.person, f.hand, self._labels[f.label], self._progress(s, f), s.place)
            for s in self._hands.values()
            if (f := s.forming)
        ]

    def standing(self, reading: Reading) -> Standing:
        """How a reading's hand stands after that reading was fed."""
        state = self._hands.get(reading.key) or _HandState(reading.camera, reading.at)
        on, forming = state.on, state.forming
        lefts = {label: self._cooldown_left(state, label) for label in state.ended}
        return Standing(
            reading.camera,
            reading.person,
            reading.hand,
            state.at,
            on=self._labels[on.label] if on else None,
            on_since=on.since if on else 0.0,
            away_since=on.away_since if on else None,
            forming=self._labels[forming.label] if forming else None,
            forming_since=forming.since if forming else 0.0,
            cooling=tuple((self._labels[i], left) for i, left in lefts.items() if left > EPSILON_S),
        )

    def progress(self, reading: Reading) -> HandProgress:
        """How far a smoothed reading's hand is after that reading was fed."""
        state = self._hands.get(reading.key)
        span = (state.forming or state.on) if state else None
        who = (reading.at, reading.camera, reading.person, reading.hand, reading.track, reading.place)
        seen = reading.place is not None  # scores fade out over a few readings
        if state is None or span is None:
            return HandProgress(*who, seen, "idle")
        forming = span is state.forming
        return HandProgress(
            *who,
            seen,
            "forming" if forming else "on" if span.away_since is None else "releasing",
            self._labels[span.label],
            score=float(reading.scores[span.label]) if reading.scores is not None else 0.0,
            ring=self._progress(state, span) if forming else 1.0,
            held_s=state.at - span.since,
            on=self._labels[state.on.label] if state.on else None,
        )

    def _new(self, reading: Reading) -> _HandState:
        """A hand not heard of; those that are long idle are dropped from memory on the way."""
        self._hands = {
            key: state
            for key, state in self._hands.items()
            if state.on or self._cooling(state, reading.at) or abs(reading.at - state.at) < IDLE_S
        }
        self._hands[reading.key] = state = _HandState(reading.camera, -math.inf)
        return state

    def _step(self, state: _HandState, reading: Reading) -> Iterator[GestureEvent]:
        scores = [0.0] * len(self._labels) if reading.scores is None else reading.scores.tolist()
        state.at = at = reading.at
        state.place = reading.place or state.place
        self._form(state, reading, scores)
        if state.on:
            yield from self._carry_on(state, state.on, scores[state.on.label])
        if (new := state.forming) and self._formed(state, new, reading):
            if state.on:
                yield self._end(state, state.on, at)
            new.person, new.hand = reading.person, reading.hand
            state.on, state.forming = new, None
            yield self._event(GestureStarted, state, new, at - new.since)

    def _form(self, state: _HandState, reading: Reading, scores: list[float]) -> None:
        limits, forming = self.thresholds, state.forming
        if forming and scores[forming.label] < limits.keep:
            forming = None
        best = max(self._gestures, key=scores.__getitem__, default=None)
        if best is not None and self._begins(best, scores[best], reading):
            if state.on and best == state.on.label:
                forming = None
            elif forming is None or best != forming.label:
                forming = _Span(best, reading.at, reading.person, reading.hand)
        if forming:
            forming.score, forming.seen_at = scores[forming.label], reading.at
        state.forming = forming

    def _carry_on(self, state: _HandState, on: _Span, score: float) -> Iterator[GestureEvent]:
        if score >= self.thresholds.keep:
            on.away_since, on.score, on.seen_at = None, score, state.at
            yield self._event(GestureHeld, state, on, state.at - on.since)
            return
        on.away_since = state.at if on.away_since is None else on.away_since
        if state.at - on.away_since >= self.thresholds.release_s - EPSILON_S:
            yield self._end(state, on, state.at)

    def _formed(self, state: _HandState, new: _Span, reading: Reading) -> bool:
        limits = self.thresholds
        held = state.at - new.since >= limits.hold_s - EPSILON_S
        begins = self._begins(new.label, new.score, reading)
        return held and begins and self._cooldown_left(state, new.label) <= EPSILON_S

    def _begins(self, label: int, score: float, reading: Reading) -> bool:
        sure = score >= self._asked[label]
        return sure and in_the_way(reading.bearing, self._labels[label], self.thresholds) is None

    def _progress(self, state: _HandState, new: _Span) -> float:
        limits = self.thresholds
        held = (state.at - new.since) / limits.hold_s if limits.hold_s else 1.0
        cooled = 1 - self._cooldown_left(state, new.label) / limits.cooldown_s if limits.cooldown_s else 1.0
        return max(0.0, min(1.0, held, cooled))

    def _cooldown_left(self, state: _HandState, label: int) -> float:
        ended = state.ended.get(label)
        return 0.0 if ended is None else ended + self.thresholds.cooldown_s - state.at

    def _cooling(self, state: _HandState, at: float) -> bool:
        return any(0 <= at - ended < self.thresholds.cooldown_s for ended in state.ended.values())

    def _reset(self, state: _HandState, at: float) -> Iterator[GestureEvent]:
        state.forming = None
        if state.on:
            yield self._end(state, state.on, at)

    def _end(self, state: _HandState, on: _Span, at: float) -> GestureEvent:
        """`held_s` counts until the gesture was last seen: the release is not part of it."""
        state.on = None
        state.ended[on.label] = at
        return self._event(GestureEnded, state, on, on.seen_at - on.since, at)

    def _event(
        self, kind: type[GestureEvent], state: _HandState, span: _Span, held_s: float, at: float | None = None
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
