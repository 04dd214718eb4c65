"""Search for untracked hands: at the arms of bodies, or in the whole image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Literal

from agent.core.hand_identity import PersonHand
from agent.core.types import Box, Hand, Pixels
from agent.inference.crops import letterbox
from agent.inference.hands.candidates import Arm, Candidate, arm_of, known, nearest, parts_of, wholes_of
from agent.inference.hands.palm import PalmFinder

Proposal = Literal["pose", "palm", "both", "arm"]

CALM_S = 1.0  # interval of searches in the whole image while every visible arm hangs
SEARCH_S = 0.2  # interval of searches for the same missing hand: limits the cost to a third of a core
PAIR_S = 0.5  # interval of searches in the whole image while the two hands of a person are tracked
PAIR = 2
ARM_REGION = 3.0  # side of the searched square / approximate hand box: the detector needs a margin
SECOND_REGION = 2.2  # of the second attempt, rotated along the arm
TRIES = 3  # kinds of search for the hand of an arm
TRACK_REGION = 1.6  # side of the searched square / box of a tracked hand without landmarks


class HandSearch:
    """Searches for hands with the palm detector at limited rates; at most `hands` are returned."""

    def __init__(self, palms: PalmFinder, proposal: Proposal, hands: int) -> None:
        self._palms, self._proposal, self._hands = palms, proposal, hands
        self._tries: dict[PersonHand, tuple[float, int]] = {}  # by arm without a hand: last try, count
        self._looked_at = -math.inf

    def more(
        self, image: Pixels, at: float, arms: Sequence[Arm], found: list[Candidate], *, body: bool
    ) -> list[Candidate]:
        """Return hands other than those in `found`. `body` is whether a body is in view.

        Raises `EngineError`.
        """
        new = self.at_arms(image, at, arms, found)
        helped = self._proposal == "both" and body and (found or new)
        room = len(found) + len(new) < self._hands
        hang = len(arms) > 1 and all(arm.hangs for arm in arms)  # so that no raised hand is expected
        every_s = CALM_S if hang and not found else SEARCH_S if len(found) < PAIR else PAIR_S
        if self._proposal != "pose" and room and not helped and at - self._looked_at >= every_s:
            self._looked_at = at
            new += self._in(image, [letterbox(image)], arms, [*found, *new])
        return new

    def again(
        self,
        image: Pixels,
        at: float,  # noqa: ARG002 (as `ArmSearch`)
        arms: Sequence[Arm],  # noqa: ARG002
        followed: Sequence[Candidate],
    ) -> list[Candidate]:
        """Redetect tracked hands near their last boxes, for classifiers without landmarks.

        Raises `EngineError`.
        """
        regions = [c.box.upright().scaled(TRACK_REGION) for c in followed]
        pairs = zip(followed, self._palms.find(image, regions), strict=True)
        near = [(c, nearest(palms, c.box)) for c, palms in pairs]
        return [replace(c, box=palm.box, score=palm.score) for c, palm in near if palm]

    def at_arms(
        self, image: Pixels, at: float, arms: Sequence[Arm], found: Sequence[Candidate]
    ) -> list[Candidate]:
        """Return hands of raised arms without one; each arm is searched at most every `SEARCH_S`."""
        if self._proposal == "palm":
            return []
        claimed = [arm_of(c.box, arms) for c in found]
        free = [arm for arm in arms if not arm.hangs and arm not in claimed]
        self._tries = {_key(arm): self._tries.get(_key(arm), (-math.inf, 0)) for arm in free}
        asked: list[tuple[Arm, Box | None]] = []
        for arm in free:
            last, count = self._tries[_key(arm)]
            if at - last >= SEARCH_S:
                self._tries[_key(arm)] = at, count + 1
                asked.append((arm, _region(arm, count % TRIES)))
        palms = iter(self._palms.find(image, [region for _, region in asked if region]))
        new: list[Candidate] = []
        for arm, region in asked:
            candidate: Candidate | None = Candidate(arm.box, 0.0, arm.person, arm.hand)
            if region:
                palm = nearest([p for p in next(palms) if arm_of(p.box, arms) is arm], arm.box)
                candidate = Candidate(palm.box, palm.score, arm.person, arm.hand) if palm else None
            if candidate and not known(candidate.box, [*found, *new]):
                new.append(candidate)
        return new

    def at_large(self, image: Pixels, arms: Sequence[Arm], found: Sequence[Candidate]) -> list[Candidate]:
        """Return palms in the whole image, and zoomed out, for a hand that fills it. Raises `EngineError`."""
        return [] if self._proposal == "pose" else self._in(image, wholes_of(image), arms, found)

    def everywhere(self, image: Pixels, arms: Sequence[Arm]) -> list[Candidate]:
        """Return palms found zoomed out, sideways and in tiles; none on hanging arms.

        Raises `EngineError`.
        """
        return [] if self._proposal == "pose" else self._in(image, parts_of(image), arms, [])

    def search_now(self, person: int, hand: Hand) -> None:
        """Search for a hand without delay, because it was just lost."""
        self._tries.pop((person, hand), None)
        self._looked_at = -math.inf

    def _in(
        self, image: Pixels, regions: list[Box], arms: Sequence[Arm], found: Sequence[Candidate]
    ) -> list[Candidate]:
        """New palms in some squares, with the arm they belong to; none on hanging arms."""
        new: list[Candidate] = []
        for palm in chain(*self._palms.find(image, regions)):
            arm = arm_of(palm.box, arms)
            if known(palm.box, [*found, *new]) or (arm and arm.hangs):
                continue
            new.append(
                Candidate(palm.box, palm.score, arm.person if arm else None, arm.hand if arm else None)
            )
        return new


def _key(arm: Arm) -> PersonHand:
    return arm.person, arm.hand


def _region(arm: Arm, way: int) -> Box | None:
    """Search region: upright, then along the arm, then None, as closed hands often show no palm."""
    return (arm.box.upright().scaled(ARM_REGION), arm.box.scaled(SECOND_REGION), None)[way]
