"""Precision, recall and F1, defined as on NVIDIA's model card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """Precision, recall and F1 of one class, each 0..1. A ratio without a denominator is 0."""

    precision: float
    recall: float
    f1: float
    support: int  # pictures of this class


@dataclass(frozen=True, slots=True)
class Figures:
    """Classification figures of a set of pictures."""

    images: int
    found: int  # pictures in which at least one hand was found
    accuracy: float
    macro_f1: float  # mean F1 of the classes that occur in the labels
    per_class: dict[str, ClassFigures]
    confusion: dict[str, dict[str, int]]  # true label -> predicted label -> pictures


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def figures(labels: Sequence[str], pairs: Iterable[tuple[str, str]], found: int) -> Figures:
    """Compute figures from (true label, predicted label) pairs; both must be in `labels`."""
    counts = Counter(pairs)
    confusion = {true: {pred: counts[true, pred] for pred in labels} for true in labels}
    per_class = {}
    for label in labels:
        hits = confusion[label][label]
        support = sum(confusion[label].values())
        claimed = sum(row[label] for row in confusion.values())
        precision, recall = _ratio(hits, claimed), _ratio(hits, support)
        f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
        per_class[label] = ClassFigures(precision, recall, f1, support)
    occurring = [c.f1 for c in per_class.values() if c.support]
    images = counts.total()
    return Figures(
        images=images,
        found=found,
        accuracy=_ratio(sum(confusion[label][label] for label in labels), images),
        macro_f1=sum(occurring) / len(occurring) if occurring else 0.0,
        per_class=per_class,
        confusion=confusion,
    )
