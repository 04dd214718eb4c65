"""Thresholds of debounce and intent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

USUAL_CONFIDENCE_OF = {"thumbs_up": 0.65, "fist": 0.75, "stop": 0.9, "two": 0.65}
"""Default confidence per gesture. `stop` is stricter because gesticulating hands are often open."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Limits that a gesture must meet to start and to continue.

    Scores are smoothed probabilities. Defaults are for a webcam with 15 frames/s or more. The limits from
    `raised` on are checked for starting only.
    """

    confidence: float = 0.85  # score at which a gesture becomes pending
    keep: float = 0.4  # score down to which it continues
    hold_s: float = 0.3  # time for which it must be held to start
    release_s: float = 0.35  # time for which it must be gone to end
    cooldown_s: float = 0.5  # shortest time before the gesture can start again
    raised: float = 0.5  # lowest height of the hand: 0 at the hips, 1 at the shoulders
    lean: float = 60.0  # largest angle of the hand from upright, degrees; gestures of `UPRIGHT` only
    at_face: bool = False  # whether a closed hand at the face counts
    facing: float = 45.0  # largest turn of the head from the camera, degrees
    forearm: float = 75.0  # largest angle of the forearm from upright, degrees; gestures of `UPRIGHT` only
    upright: float = 50.0  # largest angle of the torso from upright, degrees
    face_gap: float = 0.1  # smallest distance from the face, hand widths
    hand_gap: float = 0.1  # smallest distance from another hand, hand widths
    still: float = 1.5  # highest speed when the hold ends, hand widths/s
    onset_s: float = 1.5  # longest time for the shape to become clear; beyond it intent is in doubt
    doubtful_confidence: float = 0.85  # confidence in doubt: up to 0.1 more than usual, at most this
    doubtful_hold_s: float = 0.4  # hold in doubt, if longer than `hold_s`
    confidence_of: tuple[tuple[str, float], ...] = ()  # confidence of single gestures, sorted by name

    def required_confidence(self, gesture: str) -> float:
        """Return the confidence at which a gesture becomes pending."""
        return dict(self.confidence_of).get(gesture, self.confidence)

    def with_confidence(self, gesture: str, confidence: float) -> Thresholds:
        """Return a copy in which one gesture has a confidence of its own."""
        of = {**dict(self.confidence_of), gesture: confidence}
        return replace(self, confidence_of=tuple(sorted(of.items())), keep=min(self.keep, confidence))


class Intentions(Protocol):
    """Protocol of the intent settings; durations in seconds."""

    @property
    def facing(self) -> float: ...  # noqa: D102
    @property
    def forearm(self) -> float: ...  # noqa: D102
    @property
    def upright(self) -> float: ...  # noqa: D102
    @property
    def face_gap(self) -> float: ...  # noqa: D102
    @property
    def hand_gap(self) -> float: ...  # noqa: D102
    @property
    def still(self) -> float: ...  # noqa: D102
    @property
    def onset(self) -> float: ...  # noqa: D102
    @property
    def doubtful_confidence(self) -> float: ...  # noqa: D102
    @property
    def doubtful_hold(self) -> float: ...  # noqa: D102


class DebounceNumbers(Protocol):
    """Protocol of the debounce settings; durations in seconds."""

    @property
    def confidence(self) -> float: ...  # noqa: D102
    @property
    def keep_confidence(self) -> float: ...  # noqa: D102
    @property
    def hold(self) -> float: ...  # noqa: D102
    @property
    def release(self) -> float: ...  # noqa: D102
    @property
    def cooldown(self) -> float: ...  # noqa: D102
    @property
    def raised(self) -> float: ...  # noqa: D102
    @property
    def lean(self) -> float: ...  # noqa: D102
    @property
    def at_face(self) -> bool: ...  # noqa: D102
    @property
    def intent(self) -> Intentions: ...  # noqa: D102
    @property
    def confidence_of(self) -> Mapping[str, float]: ...  # noqa: D102


def thresholds_of(settings: DebounceNumbers) -> Thresholds:
    """Convert debounce settings to `Thresholds`."""
    intent = settings.intent
    return Thresholds(
        settings.confidence,
        settings.keep_confidence,
        settings.hold,
        settings.release,
        settings.cooldown,
        settings.raised,
        settings.lean,
        settings.at_face,
        intent.facing,
        intent.forearm,
        intent.upright,
        intent.face_gap,
        intent.hand_gap,
        intent.still,
        intent.onset,
        intent.doubtful_confidence,
        intent.doubtful_hold,
        tuple(sorted(settings.confidence_of.items())),
    )
