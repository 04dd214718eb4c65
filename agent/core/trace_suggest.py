"""The confidence that each gesture should ask for, as recorded traces have it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.core.thresholds import Thresholds
from agent.core.trace_tune import Outcome, Take, outcome

ROUNDS = 2  # gestures hardly depend on each other: a second look at each finds what little there is


def rounds(gestures: Sequence[str], confidences: Sequence[float]) -> int:
    """How often `suggest` plays all traces at most."""
    return ROUNDS * len(gestures) * len(confidences)


def suggest(
    takes: Sequence[Take],
    base: Thresholds,
    gestures: Sequence[str],
    confidences: Sequence[float],
    step: Callable[[], None] = lambda: None,
) -> Outcome:
    """The base, or what has fewer misses or fewer starts that nobody meant, and not more of the other.

    Gestures are taken one by one, as in coordinate descent; fewer misses count first. What makes no
    difference on these traces stays as it is in the base. `confidences` below the base's keep would
    move that too: they are not tried. `step` is called after each play.
    """
    best = outcome(takes, base)
    for _ in range(ROUNDS):
        for gesture in gestures:
            tried = [best]
            for confidence in confidences:
                if confidence >= base.keep:
                    tried.append(outcome(takes, best.thresholds.asking(gesture, confidence)))
                step()
            best = _best(tried, gesture, base.asks(gesture))
    return best


def _best(tried: Sequence[Outcome], gesture: str, usual: float) -> Outcome:
    """Of those that are nowhere worse than the first; as usual, or near it, where they are alike."""
    first = tried[0]
    allowed = (o for o in tried if o.missed <= first.missed and o.unmeant <= first.unmeant)
    return min(allowed, key=lambda o: (o.missed, o.unmeant, abs(o.thresholds.asks(gesture) - usual)))
