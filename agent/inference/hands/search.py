"""Looking for hands that are not followed: where the body shows them, or in the picture at large."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Literal

from agent.core.types import Box, Hand, Image
from agent.inference.crops import letterbox
from agent.inference.hands.candidates import Arm, Candidate, arm_of, known, nearest, parts_of, wholes_of
from agent.inference.hands.palm import PalmFinder

Proposal = Literal["pose", "palm", "both", "arm"]

CALM_S = 1.0  # between two searches in the picture at large while every arm that is seen hangs
SEARCH_S = 0.2  # between two searches for the same unseen hand: a third of a core, not all of it
ARM_REGION = 3.0  # side of the square that is searched / rough box of the arm: the detector likes some air
SECOND_REGION = 2.2  # the second try, turned along the arm
TRIES = 3  # ways to look for the hand of an arm
TRACK_REGION = 1.6  # the same around a followed hand that has no landmarks


class HandSearch:
    """The palm detector and when it was last asked for what. `hands` is the most that are looked for."""

    def __init__(self, palms: PalmFinder, proposal: Proposal, hands: int) -> None:
        self._palms, self._proposal, self._hands = palms, proposal, hands
        self._tries: dict[tuple[int, Hand], tuple[float, int]] = {}  # by arm without a hand: last try, count
        self._looked_at = -math.inf

    def more(
        self, image: Image, at: float, arms: Sequence[Arm], found: list[Candidate], *, body: bool
    ) -> list[Candidate]:
        """Hands beside those in `found`. `body`: somebody's body is seen."""
        new = self.at_arms(image, at, arms, found)
        helped = self._proposal == "both" and body and (found or new)
        room = len(found) + len(new) < self._hands
        hang = len(arms) > 1 and all(arm.hangs for arm in arms)  # so no hand is held anywhere else
        every_s = CALM_S if hang and not found else SEARCH_S
        if self._proposal != "pose" and room and not helped and at - self._looked_at >= every_s:
            self._looked_at = at
            new += self._in(image, [letterbox(image)], arms, [*found, *new])
        return new

    def again(
        self,
        image: Image,
        at: float,  # noqa: ARG002 (as `ArmSearch`)
        arms: Sequence[Arm],  # noqa: ARG002
        followed: Sequence[Candidate],
    ) -> list[Candidate]:
        """Followed hands, found again near where they were: for classifiers that give no landmarks."""
        regions = [c.box.upright().scaled(TRACK_REGION) for c in followed]
        pairs = zip(followed, self._palms.find(image, regions), strict=True)
        near = [(c, nearest(palms, c.box)) for c, palms in pairs]
        return [replace(c, box=palm.box, score=palm.score) for c, palm in near if palm]

    def at_arms(
        self, image: Image, at: float, arms: Sequence[Arm], found: Sequence[Candidate]
    ) -> list[Candidate]:
        """Hands of raised arms that have none, each searched for at most every `SEARCH_S`, in another way."""
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

    def at_large(self, image: Image, arms: Sequence[Arm], found: Sequence[Candidate]) -> list[Candidate]:
        """Palms anywhere in the picture, and as if from afar: a close hand may pass for a whole body."""
        return [] if self._proposal == "pose" else self._in(image, wholes_of(image), arms, found)

    def everywhere(self, image: Image, arms: Sequence[Arm]) -> list[Candidate]:
        """From afar, sideways, and in parts of the picture for small hands; not on arms that hang."""
        return [] if self._proposal == "pose" else self._in(image, parts_of(image), arms, [])

    def search_now(self, person: int, hand: Hand) -> None:
        """A hand was lost this moment: do not wait to search for it."""
        self._tries.pop((person, hand), None)
        self._looked_at = -math.inf

    def _in(
        self, image: Image, regions: list[Box], arms: Sequence[Arm], found: Sequence[Candidate]
    ) -> list[Candidate]:
        """New palms in some squares, with the arm that they belong to; none on arms that hang."""
        new: list[Candidate] = []
        for palm in chain(*self._palms.find(image, regions)):
            arm = arm_of(palm.box, arms)
            if known(palm.box, [*found, *new]) or (arm and arm.hangs):
                continue
            new.append(
                Candidate(palm.box, palm.score, arm.person if arm else None, arm.hand if arm else None)
            )
        return new


def _key(arm: Arm) -> tuple[int, Hand]:
    return arm.person, arm.hand


def _region(arm: Arm, way: int) -> Box | None:
    """Upright, then along the arm, then None: closed hands often show no palm."""
    return (arm.box.upright().scaled(ARM_REGION), arm.box.scaled(SECOND_REGION), None)[way]
