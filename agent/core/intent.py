"""Whether a hand is being shown to the camera: the stage between what is observed and what is debounced.

A hand that lives looks like a gesture now and then: it holds a pencil, clasps the other one, carries a chin.
A gesture that is meant has more than its shape. The person faces the camera and does not lie, the hand is
raised, its forearm points up, it is upright, free of the face and of other hands, and it is still while it is
held. Each of these is a number of a reading (`HandPosture`, and `speed` from `Courses`) with a limit
(`Thresholds`), and what is in the way is told in words. What is not known is not in the way.

But where one of the numbers is near its limit, no body or no elbow is in view, or a gesture took shape slowly
(a hand that holds a thing looks like a fist for long, and now and then clearly so), intent is in doubt: then
more confidence and a longer hold are asked for. All counts for the beginning alone: a gesture that is on goes
on.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from agent.core.smoothing import GAP_S
from agent.core.thresholds import Thresholds
from agent.core.types import NO_GESTURE, HandObservation, HandPosture, Place

Reason: TypeAlias = Literal[
    "upright", "facing", "raised", "forearm", "lean", "at_face", "face_gap", "hand_gap", "still"
]
"""The threshold that is not met; each is a setting of that name."""

UPRIGHT = ("fist", "stop", "ok", "two")  # a thumb is up on a hand that lies; taught gestures point anywhere
AT_LEAST: tuple[Reason, ...] = ("raised", "face_gap", "hand_gap")  # what must not be under its limit
ANY_WAY, ANYWHERE = 180.0, -1.0  # limits that are turned off: degrees, height
# Near its limit is what lies beyond these shares of it. Photographed men who raise a hand on purpose turn
# their heads by 21 degrees at most and lean a fist, stop, ok or two by 31.
ANGLE_NEAR, GAP_NEAR = 0.65, 2.5
RAISED_NEAR = 0.15
MUCH_MORE = 0.1  # confidence: what a thumb asks for is enough for few mistakes, in doubt too
TURNED_OFF: Mapping[str, Any] = {
    "raised": ANYWHERE, "lean": ANY_WAY, "at_face": True, "facing": ANY_WAY, "forearm": ANY_WAY,
    "upright": ANY_WAY, "face_gap": 0.0, "hand_gap": 0.0, "still": 100.0, "onset_s": 3600.0,
    "doubtful_confidence": 0.0, "doubtful_hold_s": 0.0,
}  # fmt: skip
"""What each threshold is where it asks for nothing."""
STRICT: Mapping[str, float] = {
    "raised": 0.8, "lean": 35.0, "facing": 25.0, "forearm": 45.0, "upright": 30.0, "face_gap": 0.3,
    "hand_gap": 0.3, "still": 0.7, "onset_s": 0.7, "doubtful_confidence": 0.95, "doubtful_hold_s": 1.0,
}  # fmt: skip
"""What each is where hands are shown with care; to be tried."""
SPEED_S = 0.3  # a hand's speed is that over this time: long enough to drown the trembling of its box
SHORTEST_S = 0.15  # over less no speed is known
SHAPED = 0.3  # smoothed probability from which on a gesture is taking shape


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What speaks against a gesture being meant: a number that was seen, and the limit that it misses."""

    reason: Reason
    seen: float
    limit: float

    @property
    def words(self) -> str:
        """For `explain`, the page and reports: "not facing the camera (52 degrees, limit 45)"."""
        return _WORDS[self.reason].format(seen=self.seen, limit=self.limit)


_WORDS: dict[Reason, str] = {
    "upright": "the body is not upright ({seen:.0f} degrees, limit {limit:g})",
    "facing": "not facing the camera ({seen:.0f} degrees, limit {limit:g})",
    "raised": "the hand is too low (raised to {seen:.2f}, limit {limit:g})",
    "forearm": "the forearm does not point up ({seen:.0f} degrees, limit {limit:g})",
    "lean": "the hand leans ({seen:.0f} degrees, limit {limit:g})",
    "at_face": "the hand is closed and at the face (at_face is off)",
    "face_gap": "the hand touches the face ({seen:.2f} hand widths away, limit {limit:g})",
    "hand_gap": "the hand touches another one ({seen:.2f} hand widths away, limit {limit:g})",
    "still": "the hand moves ({seen:.1f} of its widths a second, limit {limit:g})",
}


@dataclass(frozen=True, slots=True)
class Intent:
    """Whether a gesture is meant, and what is asked of it: nothing may speak against it.

    `confidence` must be reached and held for `hold_s`: both are those of the thresholds, or more where there
    is a `doubt`, told in words.
    """

    obstacle: Obstacle | None
    confidence: float
    hold_s: float
    doubt: str = ""

    @property
    def meant(self) -> bool:
        """Nothing that is known speaks against it."""
        return self.obstacle is None


def intent_of(observation: HandObservation, gesture: str, limits: Thresholds) -> Intent:
    """What a reading says of the intent behind one gesture, its hand's speed left out: see `settled`."""
    asked = limits.required_confidence(gesture)
    obstacle = obstacle_of(observation.posture, gesture, limits)
    if obstacle is None and (doubt := doubt_of(observation, gesture, limits)):
        more = max(asked, min(limits.doubtful_confidence, asked + MUCH_MORE))
        return Intent(None, more, max(limits.hold_s, limits.doubtful_hold_s), doubt)
    return Intent(obstacle, asked, limits.hold_s)


def obstacle_of(posture: HandPosture, gesture: str, limits: Thresholds) -> Obstacle | None:
    """The first thing that keeps a hand that is held so from beginning a gesture; None: nothing known."""
    if posture.at_face and not limits.at_face:
        return Obstacle("at_face", 1.0, 0.0)
    for reason, seen, limit in _measured(posture, gesture, limits):
        if seen < limit if reason in AT_LEAST else seen > limit:
            return Obstacle(reason, seen, limit)
    return None


def doubt_of(observation: HandObservation, gesture: str, limits: Thresholds) -> str:
    """Why it is not clear that a hand is shown, in words; empty: it is."""
    posture = observation.posture
    if observation.onset_s is not None and observation.onset_s > limits.onset_s:
        return f"it took shape slowly ({observation.onset_s:.1f} s, limit {limits.onset_s:g})"
    if posture.bodiless:
        return "no body is in view"
    for reason, seen, limit in _measured(posture, gesture, limits):
        if _is_near(reason, seen, limit):
            return f"nearly: {_WORDS[reason].format(seen=seen, limit=limit)}"
    looked_for = gesture in UPRIGHT and limits.forearm < ANY_WAY
    return "the elbow is not in view" if looked_for and posture.elbow_hidden else ""


def settled(observation: HandObservation, limits: Thresholds) -> Obstacle | None:
    """What the hand's speed has against a gesture that was held long enough; None: nothing known."""
    if observation.speed is not None and observation.speed > limits.still:
        return Obstacle("still", observation.speed, limits.still)
    return None


def _measured(
    posture: HandPosture, gesture: str, limits: Thresholds
) -> Iterator[tuple[Reason, float, float]]:
    """What is known: threshold, the number that was seen, its limit."""
    every: tuple[tuple[Reason, float | None, float, bool], ...] = (
        ("upright", posture.upright, limits.upright, True),
        ("facing", posture.facing, limits.facing, True),
        ("raised", posture.raised, limits.raised, True),
        ("forearm", posture.forearm, limits.forearm, gesture in UPRIGHT),
        ("lean", posture.lean, limits.lean, gesture in UPRIGHT),
        ("face_gap", posture.to_face, limits.face_gap, True),
        ("hand_gap", posture.to_hand, limits.hand_gap, True),
    )
    for reason, seen, limit, counts in every:
        if counts and seen is not None:
            yield reason, seen, limit


def _is_near(reason: Reason, seen: float, limit: float) -> bool:
    """Whether a number that meets its limit does so narrowly; a limit that is turned off never is near."""
    if reason == "raised":
        return limit > ANYWHERE and seen < limit + RAISED_NEAR
    if reason in AT_LEAST:
        return seen < limit * GAP_NEAR
    return limit < ANY_WAY and seen > limit * ANGLE_NEAR


@dataclass(slots=True, eq=False)
class _Past:
    """What a hand did up to now: where it was lately, and since when it looks like one gesture."""

    places: deque[tuple[float, Place]] = field(default_factory=deque)
    at: float = 0.0
    label: int = -1
    since: float = 0.0


class Courses:
    """What led to each smoothed reading: how fast its hand moves, and how long its gesture has taken shape.

    Time, places and scores come from the readings alone.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._gestures = [i for i, label in enumerate(labels) if label != NO_GESTURE]
        self._hands: dict[tuple[str, int, str], _Past] = {}

    def feed(self, observation: HandObservation) -> HandObservation:
        """The same reading with `speed` and `onset_s`; None where they are not known."""
        past = self._hands.get(observation.key) or self._new(observation)
        if not 0 < observation.at - past.at <= GAP_S:
            past.places.clear()
            past.label = -1
        past.at = observation.at
        return replace(observation, speed=_speed(past, observation), onset_s=self._onset_s(past, observation))

    def _onset_s(self, past: _Past, observation: HandObservation) -> float | None:
        if observation.scores is None:
            return None
        best = max(self._gestures, key=observation.scores.__getitem__, default=-1)
        if best < 0 or observation.scores[best] < SHAPED:
            past.label = -1
            return None
        if best != past.label:
            past.label, past.since = best, observation.at
        return observation.at - past.since

    def _new(self, observation: HandObservation) -> _Past:
        """A hand not heard of; those unseen for long are dropped on the way."""
        self._hands = {k: p for k, p in self._hands.items() if abs(observation.at - p.at) <= GAP_S}
        return self._hands.setdefault(observation.key, _Past())


def _speed(past: _Past, observation: HandObservation) -> float | None:
    if observation.place is None:
        return None
    places = past.places
    places.append((observation.at, observation.place))
    while len(places) > 2 and observation.at - places[1][0] >= SPEED_S:
        places.popleft()
    (then, a), (now, b) = places[0], places[-1]
    if now - then < SHORTEST_S:
        return None
    width = max(a.height_share, b.height_share, 1e-6)
    return math.hypot((b.x_share - a.x_share) * b.aspect, b.y_share - a.y_share) / width / (now - then)
