"""When a gesture counts: the numbers that debounce goes by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Scores are smoothed probabilities; defaults are for a webcam of 15 frames/s or more."""

    confidence: float = 0.75  # a gesture begins to form at this score
    keep: float = 0.4  # and goes on down to this one
    hold_s: float = 0.3  # it starts when it was there for so long
    release_s: float = 0.35  # and ends when it was away for so long
    cooldown_s: float = 0.5  # the same gesture does not start again sooner
    raised: float = 0.5  # nor does any while its hand is lower: 0 at the hips, 1 at the shoulders


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


def thresholds_of(settings: Debounce) -> Thresholds:
    """The settings' numbers."""
    return Thresholds(
        settings.confidence,
        settings.keep,
        settings.hold,
        settings.release,
        settings.cooldown,
        settings.raised,
    )
