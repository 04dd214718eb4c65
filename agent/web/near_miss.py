"""Near misses: hands that almost start a gesture, and the reason why not, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.core.debounce import HandProgress
from agent.core.gesture_pipeline import GesturePipeline, PipelineResult
from agent.core.rules import RuleVerdict
from agent.core.types import NO_GESTURE, HandObservation

MAX_WHY = 4  # rules for which the log says why they did not fire

STOPPED_BY = {
    "camera": "another camera",
    "hand": "the other hand",
    "person": "another person",
    "zone": "not in its zone",
    "min_hand": "the hand is too small",
    "armed": "not awake",
    "between": "not at this time of day",
    "if": "its condition does not hold",
    "sequence": "its sequence is not complete",
    "both": "the other hand does not show it",
    "move": "another direction",
    "cooldown": "it has just fired",
}


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A hand that shows a gesture which does not start, and the reason."""

    person: int
    hand: str
    gesture: str
    score: float
    why: str


def hands_of(
    pipeline: GesturePipeline, result: PipelineResult
) -> tuple[tuple[HandProgress, ...], tuple[NearMiss, ...]]:
    """Return the progress of each hand, with `held_back` as the reason of a near miss, and near misses."""
    hands, near = [], []
    for told, observation in zip(pipeline.progress(result.smoothed), result.smoothed, strict=True):
        found = _near_miss(told, observation, pipeline)
        hands.append(replace(told, held_back=found.why if found else told.held_back))
        near += [found] if found else []
    return tuple(hands), tuple(near)


def why_not(verdicts: Sequence[RuleVerdict]) -> list[str]:
    """Return why no rule for a gesture fired; empty where one did or none uses it."""
    if any(verdict.fired for verdict in verdicts):
        return []
    stopped = [verdict for verdict in verdicts if verdict.reason in STOPPED_BY]
    return [
        f"{verdict.rule}: {STOPPED_BY[verdict.reason]} ({verdict.seen}; wanted: {verdict.wanted})"
        for verdict in stopped[:MAX_WHY]
    ]


def _near_miss(
    told: HandProgress, observation: HandObservation, pipeline: GesturePipeline
) -> NearMiss | None:
    """Missing condition by the general thresholds; None if nothing is missing or no gesture is seen."""
    if told.phase not in {"idle", "forming"} or not told.seen or observation.scores is None:
        return None
    scores = dict(zip(pipeline.labels, observation.scores.tolist(), strict=True))
    best = max((label for label in scores if label != NO_GESTURE), key=scores.__getitem__, default="")
    limits = next(iter(pipeline.hand_states(observation)))
    if not best or scores[best] < limits.keep:
        return None
    asked = limits.required_confidence(best)
    if told.held_back:
        return NearMiss(told.person, told.hand, best, scores[best], f"{_words(best)}, but {told.held_back}")
    if scores[best] < asked:
        seen = math.floor(scores[best] * 100) / 100  # rounded down: 0.899 is not 0.9
        return NearMiss(
            told.person, told.hand, best, scores[best], f"{_words(best)} {seen:.2f}, asks {asked:g}"
        )
    return None


def _words(gesture: str) -> str:
    return gesture.replace("_", " ")
