"""Hand search by body joints only, without a palm detector, as NVIDIA does it: `proposal = "arm"`.

Has the interface of `HandSearch`. A hand's box is averaged over time, so that jitter of the joints does not
move the crop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from agent.core.types import Box, Hand, Pixels
from agent.inference.hands.candidates import Arm, Candidate, apart, arm_of

STEADY_S = 0.08  # time constant of the average
JUMP = 0.4  # sides of the box: after a longer move the new position counts at once


class ArmSearch:
    """Finds hands at the ends of body arms; an alternative to `HandSearch`."""

    def more(
        self,
        image: Pixels,
        at: float,
        arms: Sequence[Arm],
        found: Sequence[Candidate],
        *,
        body: bool,  # noqa: ARG002 (as `HandSearch`)
    ) -> list[Candidate]:
        """Return candidates at the ends of raised arms that have no hand yet."""
        return self.at_arms(image, at, arms, found)

    def at_arms(
        self,
        image: Pixels,  # noqa: ARG002
        at: float,  # noqa: ARG002
        arms: Sequence[Arm],
        found: Sequence[Candidate],
    ) -> list[Candidate]:
        """Return candidates at the ends of raised arms that have no hand yet."""
        claimed = [arm_of(c.box, arms) for c in found]
        free = [arm for arm in arms if not arm.hangs and arm not in claimed]
        return [Candidate(arm.box, 1.0, arm.person, arm.hand) for arm in free]

    def again(
        self,
        image: Pixels,  # noqa: ARG002
        at: float,
        arms: Sequence[Arm],
        followed: Sequence[Candidate],
    ) -> list[Candidate]:
        """Move tracked hands to the current ends of their arms, one hand for each arm."""
        found: list[Candidate] = []
        taken: list[Arm] = []
        for candidate in followed:
            arm = arm_of(candidate.box, [arm for arm in arms if arm not in taken])
            track = candidate.followed
            if arm and track:
                taken.append(arm)
                box = steadied(track.hand.box, arm.box, at - track.hand.at)
                found.append(Candidate(box, 1.0, arm.person, arm.hand, track))
        return found

    def at_large(
        self,
        image: Pixels,  # noqa: ARG002
        arms: Sequence[Arm],  # noqa: ARG002
        found: Sequence[Candidate],  # noqa: ARG002
    ) -> list[Candidate]:
        """Return nothing: this search finds hands at arms only."""
        return []

    def everywhere(self, image: Pixels, arms: Sequence[Arm]) -> list[Candidate]:  # noqa: ARG002
        """Return nothing: this search finds hands at arms only."""
        return []

    def search_now(self, person: int, hand: Hand) -> None:
        """Do nothing: arms are searched in every frame."""


def steadied(before: Box, now: Box, passed_s: float) -> Box:
    """Return the time-weighted average of two boxes; the new one after a large move or a long time."""
    if apart(before, now) > JUMP or passed_s <= 0:
        return now
    new = 1 - math.exp(-passed_s / STEADY_S)

    def mean(a: float, b: float) -> float:
        return a + (b - a) * new

    return Box(mean(before.cx, now.cx), mean(before.cy, now.cy), mean(before.side, now.side), now.angle)
