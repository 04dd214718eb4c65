"""Rule verdicts: why a rule fired or did not, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from agent.core.types import GestureEvent

Reason: TypeAlias = Literal[
    "fired",
    "gesture",  # another gesture
    "camera",  # another camera
    "hand",  # the other hand
    "person",  # another person
    "zone",  # the hand is outside the zone
    "min_hand",  # the hand is too small, so too far away
    "armed",  # no wake gesture, or its window is over
    "between",  # outside the time range
    "if",  # a topic has another value
    "sequence",  # steps missing, or too slow
    "both",  # the other hand does not show the gesture
    "move",  # another direction
    "cooldown",  # it fired a moment ago
    "first_match",  # an earlier rule fired
]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A condition that did not hold: the value that was seen and the one required, as text."""

    reason: Reason
    seen: str
    wanted: str


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """The result of one rule for one event: fired, or the reason why not."""

    rule: str
    event: GestureEvent
    reason: Reason
    seen: str = ""
    wanted: str = ""

    @staticmethod
    def of(rule: str, event: GestureEvent, refused: Refusal | None) -> RuleVerdict:
        """Build the verdict of a rule: fired, unless `refused` names a reason."""
        if refused is None:
            return RuleVerdict(rule, event, "fired")
        return RuleVerdict(rule, event, refused.reason, refused.seen, refused.wanted)

    @property
    def fired(self) -> bool:
        """Whether the rule's actions were triggered."""
        return self.reason == "fired"
