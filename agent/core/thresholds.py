"""When a gesture counts: the numbers that debounce goes by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias

from agent.core.types import Bearing

HowHeld: TypeAlias = Literal["raised", "lean", "at_face"]  # thresholds that a hand's bearing must meet

UPRIGHT = ("fist", "stop", "ok", "two")  # a thumb is up on a hand that lies; taught gestures point anywhere

USUAL_CONFIDENCE_OF = {"thumbs_up": 0.65, "fist": 0.65, "stop": 0.9, "two": 0.65}
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
    confidence_of: tuple[tuple[str, float], ...] = ()  # gestures that ask for another one, in name order

    def asks(self, gesture: str) -> float:
        """The confidence at which this gesture begins to form."""
        return dict(self.confidence_of).get(gesture, self.confidence)

    def asking(self, gesture: str, confidence: float) -> Thresholds:
        """The same, but this gesture asks for this confidence."""
        of = {**dict(self.confidence_of), gesture: confidence}
        return replace(self, confidence_of=tuple(sorted(of.items())), keep=min(self.keep, confidence))


class Debounce(Protocol):
    """The same numbers in the settings; durations in seconds."""

    @property
    def confidence(self) -> float: ...  # noqa: D102
    @property
    def keep(self) -> float: ...  # noqa: D102
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
    def confidence_of(self) -> Mapping[str, float]: ...  # noqa: D102


def thresholds_of(settings: Debounce) -> Thresholds:
    """The settings' numbers."""
    return Thresholds(
        settings.confidence,
        settings.keep,
        settings.hold,
        settings.release,
        settings.cooldown,
        settings.raised,
        settings.lean,
        settings.at_face,
        tuple(sorted(settings.confidence_of.items())),
    )


def in_the_way(bearing: Bearing, gesture: str, limits: Thresholds) -> HowHeld | None:
    """What keeps a hand that is held so from beginning a gesture; None: nothing that is known."""
    if bearing.raised is not None and bearing.raised < limits.raised:
        return "raised"
    if bearing.lean is not None and bearing.lean > limits.lean and gesture in UPRIGHT:
        return "lean"
    if bearing.at_face and not limits.at_face:
        return "at_face"
    return None
