"""Calibration of probabilities, and the effect of thresholds on photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.core.thresholds import Thresholds
from agent.core.types import NO_GESTURE
from agent.evaluation.judge import PhotographResult

BINS = 10  # of equal width
NEVER = 2.0  # above every probability


@dataclass(frozen=True, slots=True)
class Bin:
    """The answers whose probability lies in one tenth of 0..1."""

    probability: float  # mean
    accuracy: float  # share that is right
    images: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibration figures of a classifier. Shares are 0..1; without a denominator they are 0."""

    confidence: dict[str, float]  # gesture -> the threshold used for `passed` and `mistaken`
    passed: float  # share of gesture pictures that reach the threshold under the right name
    mistaken: float  # share of all pictures that reach the threshold of a gesture they do not show
    expected_error: float  # mean distance of probability and accuracy (expected calibration error, ECE)
    bins: tuple[Bin, ...]  # non-empty bins in ascending order


def _bin(verdicts: Sequence[PhotographResult]) -> Bin:
    return Bin(
        probability=sum(v.probability for v in verdicts) / len(verdicts),
        accuracy=sum(v.right for v in verdicts) / len(verdicts),
        images=len(verdicts),
    )


def calibrate(
    verdicts: Sequence[PhotographResult], labels: Sequence[str], thresholds: Thresholds
) -> Calibration:
    """Compute the calibration of readable verdicts.

    Pictures without a detected hand have no probability: they are in no bin, and never pass. ECE: Naeini et
    al. 2015 (AAAI), with bins of equal width.
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
