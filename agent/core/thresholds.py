"""When a gesture counts: the numbers that debounce goes by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

USUAL_CONFIDENCE_OF = {"thumbs_up": 0.65, "fist": 0.75, "stop": 0.9, "two": 0.65}
"""What idle hands hardly ever do may be less sure; a hand that talks is open like that of `stop`."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Scores are smoothed probabilities; defaults are for a webcam of 15 frames/s or more."""

    confidence: float = 0.85  # a gesture begins to form at this score
    keep: float = 0.4  # and goes on down to this one
    hold_s: float = 0.3  # it starts when it was there for so long
    release_s: float = 0.35  # and ends when it was away for so long
    cooldown_s: float = 0.5  # the same gesture does not start again sooner
    raised: float = 0.5  # nor does any while its hand is lower: 0 at the hips, 1 at the shoulders
    lean: float = 60.0  # nor one of `UPRIGHT` while its hand points farther from upright, degrees
    at_face: bool = False  # nor any while its hand, closed, is at the face; True: it does
    facing: float = 45.0  # nor any while the head is turned farther from the camera, degrees
    forearm: float = 75.0  # nor one of `UPRIGHT` while the forearm is farther from upright, degrees
    upright: float = 50.0  # nor any while the torso is farther from upright, degrees
    face_gap: float = 0.1  # nor any while the hand is nearer to the face, in its widths
    hand_gap: float = 0.1  # nor any while it is nearer to another hand, in its widths
    still: float = 1.5  # nor any while it moves faster, in its widths a second
    onset_s: float = 1.5  # and it is in doubt where its shape took longer to become clear
    doubtful_confidence: float = 0.85  # in doubt a gesture asks for up to 0.1 more, up to this
    doubtful_hold_s: float = 0.4  # and for this, or the hold if longer
    confidence_of: tuple[tuple[str, float], ...] = ()  # gestures that ask for another one, in name order

    def required_confidence(self, gesture: str) -> float:
        """The confidence at which this gesture begins to form."""
        return dict(self.confidence_of).get(gesture, self.confidence)

    def with_confidence(self, gesture: str, confidence: float) -> Thresholds:
        """The same, but this gesture asks for this confidence."""
        of = {**dict(self.confidence_of), gesture: confidence}
        return replace(self, confidence_of=tuple(sorted(of.items())), keep=min(self.keep, confidence))


class Intentions(Protocol):
    """What is asked of a hand that means something, in the settings; durations in seconds."""

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
    """The same numbers in the settings; durations in seconds."""

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
    """The settings' numbers."""
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
