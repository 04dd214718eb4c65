"""Feedback for a person without a screen: the rules woke, a rule fired, a gesture was refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agent.core.gesture_pipeline import PipelineResult
from agent.core.types import GestureStarted

FeedbackKind: TypeAlias = Literal["awake", "fired", "refused"]

AGAIN_S = 1.0  # a rule that repeats, or a dial, is told once in that time
# Conditions that a person meant to meet. While rules sleep ("armed"), movements mean nothing: silence.
REFUSING = frozenset({"hand", "zone", "min_hand", "between", "if", "cooldown"})


@dataclass(frozen=True, slots=True)
class Feedback:
    """One thing to tell. `rule` is the one that fired, or that came nearest; empty when rules woke."""

    kind: FeedbackKind
    camera: str
    rule: str = ""
    gesture: str = ""


class FeedbackTracker:
    """Derives feedback from the results of each frame, in order."""

    def __init__(self) -> None:
        self._armed: dict[str, bool] = {}
        self._fired_at: dict[tuple[str, str], float] = {}

    def update(self, camera: str, at: float, result: PipelineResult, *, armed: bool) -> Iterator[Feedback]:
        """`at` in seconds; `armed`: a wake gesture has woken the rules of this camera."""
        if armed and not self._armed.get(camera, False):
            yield Feedback("awake", camera)
        self._armed[camera] = armed
        for rule in dict.fromkeys(action.rule for action in result.actions):
            last = self._fired_at.get((camera, rule))
            self._fired_at[camera, rule] = at
            if last is None or at - last >= AGAIN_S:
                yield Feedback("fired", camera, rule)
        if not result.actions:
            yield from self._refused(camera, result)

    def _refused(self, camera: str, result: PipelineResult) -> Iterator[Feedback]:
        for event in result.events:
            if not isinstance(event, GestureStarted):
                continue
            of_it = [
                one
                for one in result.verdicts
                if isinstance(one.event, GestureStarted)
                and (one.event.person, one.event.hand, one.event.gesture)
                == (event.person, event.hand, event.gesture)
            ]
            refusing = next((one for one in of_it if one.reason in REFUSING), None)
            if refusing is not None and not any(one.fired for one in of_it):
                yield Feedback("refused", camera, refusing.rule, event.gesture)
