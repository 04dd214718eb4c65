"""Whether a probability means what it says, and what a threshold makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.core.thresholds import Thresholds
from agent.core.types import NO_GESTURE
from agent.evaluation.judge import PhotographResult

BINS = 10  # of equal width
NEVER = 2.0  # no probability is as high


@dataclass(frozen=True, slots=True)
class Bin:
    """The answers whose probability lies in one tenth of 0..1."""

    probability: float  # their mean
    accuracy: float  # share of them that is right
    images: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far probabilities can be believed. Shares are 0..1; without a denominator they are 0."""

    confidence: dict[str, float]  # gesture -> the threshold that `passed` and `mistaken` are about
    passed: float  # share of the pictures of a gesture that reach it under the right name
    mistaken: float  # share of all pictures that reach that of a gesture which they do not show
    expected_error: float  # mean distance of probability and accuracy (expected calibration error, ECE)
    bins: tuple[Bin, ...]  # those that hold an answer, upwards


def _bin(verdicts: Sequence[PhotographResult]) -> Bin:
    return Bin(
        probability=sum(v.probability for v in verdicts) / len(verdicts),
        accuracy=sum(v.right for v in verdicts) / len(verdicts),
        images=len(verdicts),
    )


def calibrate(
    verdicts: Sequence[PhotographResult], labels: Sequence[str], thresholds: Thresholds
) -> Calibration:
    """What readable verdicts say of their own probabilities.

    Pictures in which no hand was found have no probability: they are in no bin, and never pass.
    ECE: Naeini et al. 2015 (AAAI), with bins of equal width.
    """
    answers = [v for v in verdicts if v.box is not None]
    places = [min(int(v.probability * BINS), BINS - 1) for v in answers]
    bins = tuple(
        _bin([v for v, place in zip(answers, places, strict=True) if place == number])
        for number in sorted(set(places))
    )
    confidence = {label: thresholds.required_confidence(label) for label in labels if label != NO_GESTURE}
    passing = [v for v in answers if v.probability >= confidence.get(v.predicted, NEVER)]
    gestures = sum(v.photograph.label != NO_GESTURE for v in verdicts)
    return Calibration(
        confidence=confidence,
        passed=sum(v.right for v in passing) / max(1, gestures),
        mistaken=sum(not v.right for v in passing) / max(1, len(verdicts)),
        expected_error=sum(abs(b.probability - b.accuracy) * b.images for b in bins) / max(1, len(answers)),
        bins=bins,
    )
