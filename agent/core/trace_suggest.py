"""The confidence that each gesture should ask for, as recorded traces have it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.core.thresholds import Thresholds
from agent.core.trace_tune import LabelledTrace, TuningResult, evaluate_thresholds

ROUNDS = 2  # gestures hardly depend on each other: a second look at each finds what little there is


def rounds(gestures: Sequence[str], confidences: Sequence[float]) -> int:
    """How often `suggest` plays all traces at most."""
    return ROUNDS * len(gestures) * len(confidences)


def suggest(
    labelled_traces: Sequence[LabelledTrace],
    base: Thresholds,
    gestures: Sequence[str],
    confidences: Sequence[float],
    step: Callable[[], None] = lambda: None,
) -> TuningResult:
    """The base, or what has fewer misses or fewer starts that nobody meant, and not more of the other.

    Gestures are taken one by one, as in coordinate descent; fewer misses count first. What makes no
    difference on these traces stays as it is in the base. `confidences` below the base's keep would
    move that too: they are not tried. `step` is called after each play.
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
    """Of those that are nowhere worse than the first; as usual, or near it, where they are alike."""
    first = tried[0]
    allowed = (o for o in tried if o.missed <= first.missed and o.unmeant <= first.unmeant)
    return min(
        allowed, key=lambda o: (o.missed, o.unmeant, abs(o.thresholds.required_confidence(gesture) - usual))
    )
