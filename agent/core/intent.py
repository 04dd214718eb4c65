"""Intent: whether a hand is being shown to the camera. Runs between hand tracking and debounce.

Idle hands resemble gestures now and then: they hold a pencil, clasp each other, support a chin. An intended
gesture has more than its shape: the person faces the camera and is not lying down, the hand is raised, its
forearm points up, it is upright, clear of the face and of other hands, and still while it is held. Each of
these is a measured number (`HandPosture`, and `speed` from `HandHistories`) with a limit (`Thresholds`); the
first that misses its limit is the `Obstacle`. Unknown numbers are not obstacles.

Intent is in doubt where a number is near its limit, no body or no elbow is in view, or the gesture took shape
slowly (a hand that holds an object resembles a fist for long). Doubt raises the required confidence and hold.
Intent is checked only for starting; it never ends a gesture.
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
"""Name of the threshold that is not met; each is a setting of that name."""

UPRIGHT = ("fist", "stop", "ok", "two")  # gestures that `lean` applies to: thumbs_up and taught ones may lie
AT_LEAST: tuple[Reason, ...] = ("raised", "face_gap", "hand_gap")  # lower limits; the others are upper limits
TOUCHES: tuple[Reason, ...] = ("at_face", "face_gap", "hand_gap")
ANY_WAY, ANYWHERE = 180.0, -1.0  # limits that are turned off: degrees, height
# A number is near its limit beyond these shares of it. In photographs of people who raise a hand on purpose,
# heads turn by 21 degrees at most, and fist, stop, ok and two lean by 31.
ANGLE_NEAR, GAP_NEAR = 0.65, 2.5
RAISED_NEAR = 0.15
MUCH_MORE = 0.1  # largest addition to the required confidence when intent is in doubt
TURNED_OFF: Mapping[str, Any] = {
    "raised": ANYWHERE, "lean": ANY_WAY, "at_face": True, "facing": ANY_WAY, "forearm": ANY_WAY,
    "upright": ANY_WAY, "face_gap": 0.0, "hand_gap": 0.0, "still": 100.0, "onset_s": 3600.0,
    "doubtful_confidence": 0.0, "doubtful_hold_s": 0.0,
}  # fmt: skip
"""Value of each threshold that turns its check off."""
STRICT: Mapping[str, float] = {
    "raised": 0.8, "lean": 35.0, "facing": 25.0, "forearm": 45.0, "upright": 30.0, "face_gap": 0.3,
    "hand_gap": 0.3, "still": 0.7, "onset_s": 0.7, "doubtful_confidence": 0.95, "doubtful_hold_s": 1.0,
}  # fmt: skip
"""Stricter values, for people who show gestures with care."""
SPEED_S = 0.3  # window over which hand speed is measured: averages the jitter of its box
SHORTEST_S = 0.15  # shortest window for which a speed is reported
SHAPED = 0.3  # smoothed probability from which a gesture counts as taking shape


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A reason why a gesture does not count as intended: the measured number and the limit it misses."""

    reason: Reason
    seen: float
    limit: float

    @property
    def words(self) -> str:
        """The obstacle as text, for people: "not facing the camera (52 degrees, limit 45)"."""
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
    """Result of the intent check for one gesture: the obstacle, if any, and the required confidence and hold.

    `confidence` is 0..1 and `hold_s` in seconds; both are those of the thresholds, or higher where intent is
    in `doubt`, which names the reason.
    """

    obstacle: Obstacle | None
    confidence: float
    hold_s: float
    doubt: str = ""

    @property
    def meant(self) -> bool:
        """Whether no known obstacle stands against the gesture."""
        return self.obstacle is None


def intent_of(observation: HandObservation, gesture: str, limits: Thresholds) -> Intent:
    """Check the intent behind one gesture of an observation, except for hand speed (`speed_obstacle`)."""
    asked = limits.required_confidence(gesture)
    obstacle = obstacle_of(observation.posture, gesture, limits)
    if obstacle is None and (doubt := doubt_of(observation, gesture, limits)):
        more = max(asked, min(limits.doubtful_confidence, asked + MUCH_MORE))
        return Intent(None, more, max(limits.hold_s, limits.doubtful_hold_s), doubt)
    return Intent(obstacle, asked, limits.hold_s)


def obstacle_of(posture: HandPosture, gesture: str, limits: Thresholds) -> Obstacle | None:
    """Return the first posture limit that a gesture misses; None where no known number misses its limit."""
    if posture.at_face and not limits.at_face:
        return Obstacle("at_face", 1.0, 0.0)
    for reason, seen, limit in _measured(posture, gesture, limits):
        if seen < limit if reason in AT_LEAST else seen > limit:
            return Obstacle(reason, seen, limit)
    return None


def doubt_of(observation: HandObservation, gesture: str, limits: Thresholds) -> str:
    """Return the reason, as text, why intent is in doubt; empty where it is clear."""
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


def speed_obstacle(observation: HandObservation, limits: Thresholds) -> Obstacle | None:
    """Return the obstacle where the hand moves faster than `still`; None where it is still or unknown."""
    if observation.speed is not None and observation.speed > limits.still:
        return Obstacle("still", observation.speed, limits.still)
    return None


def _measured(
    posture: HandPosture, gesture: str, limits: Thresholds
) -> Iterator[tuple[Reason, float, float]]:
    """Yield each known number as (threshold, measured value, limit)."""
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
    """Whether a number meets its limit only narrowly; never for a limit that is turned off."""
    if reason == "raised":
        return limit > ANYWHERE and seen < limit + RAISED_NEAR
    if reason in AT_LEAST:
        return seen < limit * GAP_NEAR
    return limit < ANY_WAY and seen > limit * ANGLE_NEAR


@dataclass(slots=True, eq=False)
class _HandHistory:
    """Recent history of one hand: its places, and since when it looks like one gesture."""

    places: deque[tuple[float, Place]] = field(default_factory=deque)
    at: float = 0.0
    label: int = -1
    since: float = 0.0


class HandHistories:
    """Adds to each smoothed observation how fast its hand moves and how long its gesture has taken shape.

    Keeps the recent history of every hand; times, places and scores come from the observations alone.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._gestures = [i for i, label in enumerate(labels) if label != NO_GESTURE]
        self._hands: dict[tuple[str, int, str], _HandHistory] = {}

    def feed(self, observation: HandObservation) -> HandObservation:
        """Return the observation with `speed` (hand widths/s) and `onset_s` (s); None where not known."""
        past = self._hands.get(observation.key) or self._new(observation)
        if not 0 < observation.at - past.at <= GAP_S:
            past.places.clear()
            past.label = -1
        past.at = observation.at
        return replace(observation, speed=_speed(past, observation), onset_s=self._onset_s(past, observation))

    def _onset_s(self, past: _HandHistory, observation: HandObservation) -> float | None:
        if observation.scores is None:
            return None
        best = max(self._gestures, key=observation.scores.__getitem__, default=-1)
        if best < 0 or observation.scores[best] < SHAPED:
            past.label = -1
            return None
        if best != past.label:
            past.label, past.since = best, observation.at
        return observation.at - past.since

    def _new(self, observation: HandObservation) -> _HandHistory:
        """Create the history of a new hand and drop those unseen for long."""
        self._hands = {k: p for k, p in self._hands.items() if abs(observation.at - p.at) <= GAP_S}
        return self._hands.setdefault(observation.key, _HandHistory())


def _speed(past: _HandHistory, observation: HandObservation) -> float | None:
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
