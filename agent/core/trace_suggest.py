"""Suggests a confidence for each gesture from labelled traces. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.core.thresholds import Thresholds
from agent.core.trace_tune import LabelledTrace, TuningResult, evaluate_thresholds

ROUNDS = 2  # of coordinate descent: gestures hardly interact, so a second round suffices


def rounds(gestures: Sequence[str], confidences: Sequence[float]) -> int:
    """Return the largest number of trace replays that `suggest` makes."""
    return ROUNDS * len(gestures) * len(confidences)


def suggest(
    labelled_traces: Sequence[LabelledTrace],
    base: Thresholds,
    gestures: Sequence[str],
    confidences: Sequence[float],
    step: Callable[[], None] = lambda: None,
) -> TuningResult:
    """Find thresholds with fewer misses or fewer false positives than the base, and not more of the other.

    Coordinate descent over the gestures; fewer misses count first. A confidence that makes no difference
    stays as in the base. `confidences` below the base's `keep` would change `keep` too and are skipped.
    `step` is called after each replay.
    """
    best = evaluate_thresholds(labelled_traces, base)
    for _ in range(ROUNDS):
        for gesture in gestures:
            tried = [best]
            for confidence in confidences:
                if confidence >= base.keep:
                    tried.append(
                        evaluate_thresholds(
                            labelled_traces, best.thresholds.with_confidence(gesture, confidence)
                        )
                    )
                step()
            best = _best(tried, gesture, base.required_confidence(gesture))
    return best


def _best(tried: Sequence[TuningResult], gesture: str, usual: float) -> TuningResult:
    """The best of those that are nowhere worse than the first; ties go to the usual confidence or near it."""
    first = tried[0]
    allowed = (o for o in tried if o.missed <= first.missed and o.unmeant <= first.unmeant)
    return min(
        allowed, key=lambda o: (o.missed, o.unmeant, abs(o.thresholds.required_confidence(gesture) - usual))
    )
