"""Assignment of hands to persons and sides, one frame after another.

The body's arm names person and side where a body is in view. A hand without one keeps what it was in the last
frame, or what a hand that was lost there a moment ago was; otherwise it belongs to a new person.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from agent.core.tracking import distance
from agent.core.types import HANDS, Box, Hand

ARM_LOG_ODDS = 1.7  # of left and right (85 %) from the body pose, which often errs at short range
CLASSIFIER_LOG_ODDS = 2.9  # largest of left and right (95 %) from one classification of the hand
SIDE_FADE_S = 0.5  # time constant of earlier frames' evidence on left and right
LOST_S = 1.0  # a hand without a body keeps person and side if it is back within this time
LOST_REACH = 0.75  # longest distance of a lost hand from where it is back, as `tracking.distance`

PersonHand: TypeAlias = tuple[int, Hand]
"""Person number and side; the number is negative for a hand without a body."""


@dataclass(frozen=True, slots=True)
class AssignedHand:
    """A hand with its person and side in the frame at `at` seconds.

    `box` is where it is expected in the next frame, `right` the log-odds that it is a right hand.
    """

    person: int
    hand: Hand
    box: Box
    at: float
    right: float

    @property
    def person_hand(self) -> PersonHand:
        """Person and side."""
        return self.person, self.hand


@dataclass(frozen=True, slots=True)
class HandEvidence:
    """What is known of one hand in a frame before it is assigned.

    `box` is where it was found, `next_box` where it is expected in the next frame. `person` and `arm` are
    those of the body's arm that it belongs to. `before` is the same hand in the last frame where it was
    tracked from there. `right` is the classifier's probability of a right hand; `reused` says that the frame
    was not classified and the last result stands for it, which is no new evidence.
    """

    box: Box
    next_box: Box
    person: int | None = None
    arm: Hand | None = None
    before: AssignedHand | None = None
    right: float | None = None
    reused: bool = False


class HandAssigner:
    """Assigns the hands of one camera to persons and sides; no two hands of a frame share both."""

    def __init__(self) -> None:
        self._hands: list[AssignedHand] = []
        self._lost: list[AssignedHand] = []
        self._without_body = 0

    @property
    def current(self) -> frozenset[PersonHand]:
        """Person and side of every hand of the last frame."""
        return frozenset(hand.person_hand for hand in self._hands)

    def assign(self, at: float, hands: Sequence[HandEvidence]) -> list[AssignedHand]:
        """Return the hands of the frame at `at` seconds, in order; the first takes what two want."""
        before, self._hands = self._hands, []
        for evidence in hands:
            right = _log_odds_right(evidence, at)
            person, side = self._person_hand(evidence, right)
            self._hands.append(AssignedHand(person, side, evidence.next_box, at, right))
        now = self.current
        self._lost += [hand for hand in before if hand.person_hand not in now]
        self._lost = [hand for hand in self._lost if at - hand.at < LOST_S and hand.person_hand not in now]
        return list(self._hands)

    def _person_hand(self, evidence: HandEvidence, right: float) -> PersonHand:
        """Person and side of a hand, beside those of this frame that are assigned already."""
        taken = self.current
        side, other = HANDS if right < 0 else HANDS[::-1]
        people = [evidence.person] if evidence.person is not None else []
        people += [hand.person for hand in self._lost if distance(hand.box, evidence.box) < LOST_REACH]
        people += [hand.person for hand in self._hands if hand.person < 0]  # two without a body: one person
        for each in (side, other):
            for person in people:
                if (person, each) not in taken:
                    return person, each
        self._without_body += 1
        return -self._without_body, side


def _log_odds_right(evidence: HandEvidence, at: float) -> float:
    """Log-odds of a right hand, from earlier frames, the body pose and the classification."""
    before = evidence.before
    if before and evidence.reused:
        return before.right
    odds = before.right * math.exp((before.at - at) / SIDE_FADE_S) if before else 0.0
    if evidence.arm:
        odds += ARM_LOG_ODDS if evidence.arm == "right" else -ARM_LOG_ODDS
    if evidence.right is not None:
        said = math.log(max(evidence.right, 1e-6) / max(1 - evidence.right, 1e-6))
        odds += max(-CLASSIFIER_LOG_ODDS, min(CLASSIFIER_LOG_ODDS, said))
    return odds
