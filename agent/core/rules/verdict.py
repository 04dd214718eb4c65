"""Why a rule did or did not fire, as data that sentences can be made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from agent.core.types import GestureEvent

Reason: TypeAlias = Literal[
    "fired",  # it did
    "gesture",  # another gesture
    "camera",  # another camera
    "hand",  # the other hand
    "person",  # another person
    "zone",  # the hand is outside
    "min_hand",  # the hand is too small: too far away
    "armed",  # no wake gesture, or too long ago
    "between",  # not at this time of day
    "if",  # a topic's value is another
    "sequence",  # not all steps, or too slow
    "both",  # the other hand does not show it
    "move",  # another direction
    "cooldown",  # it fired a moment ago
    "first_match",  # a rule before it fired
]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The first condition that did not hold: what was seen and what was wanted, for people."""

    reason: Reason
    seen: str
    wanted: str


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """What one rule made of one event."""

    rule: str
    event: GestureEvent
    reason: Reason
    seen: str = ""
    wanted: str = ""

    @staticmethod
    def of(rule: str, event: GestureEvent, refused: Refusal | None) -> RuleVerdict:
        """Fired, unless something refused."""
        if refused is None:
            return RuleVerdict(rule, event, "fired")
        return RuleVerdict(rule, event, refused.reason, refused.seen, refused.wanted)

    @property
    def fired(self) -> bool:
        """Whether its actions were done."""
        return self.reason == "fired"
