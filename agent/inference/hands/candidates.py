"""Candidate boxes of hands, and comparisons between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agent.core.geometry import arm_hangs, box_of_arm, share_in_frame
from agent.core.hand_identity import AssignedHand
from agent.core.tracking import distance
from agent.core.types import HANDS, Box, Hand, Pixels
from agent.core.work_plan import HandMemory
from agent.inference.bodies.person import Person
from agent.inference.crops import letterbox, spread
from agent.inference.gestures.classifier import Readout
from agent.inference.hands.palm import Palm

NEAR = 0.75  # of the larger box's side: within this distance of an arm's wrist a hand belongs to the arm
SAME_HAND = 0.35  # distance under which two boxes hold one hand
MUCH_SMALLER = 0.6  # side of a false detection / of the hand in whose middle it lies
IN_FRAME = 0.4  # share of a box that must lie in the image for a hand to be visible
AFAR = 1.6  # side of the square / whole image: a hand that fills the image is too large for the detector
PART = 0.6  # side of the tiles / short side of the image: finds palms down to 12 px of 480
SIDEWAYS = math.pi / 2


@dataclass(frozen=True, slots=True)
class TrackedHand:
    """A tracked hand as last detected; `hand.box` is the next search region.

    `readout` is the last output of the classifier, `memory` the state of the work plan.
    """

    hand: AssignedHand
    readout: Readout | None = None
    memory: HandMemory | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A box that may hold a hand; `person` and `arm` identify the body's arm where there is one."""

    box: Box
    score: float
    person: int | None = None
    arm: Hand | None = None
    followed: TrackedHand | None = None
    kept: Readout | None = None  # the last readout of a tracked hand, where it is reused for this frame


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of a body: the approximate box of its hand, and whether it hangs."""

    person: int
    hand: Hand
    box: Box
    hangs: bool


def arms_of(people: Sequence[Person], image: Pixels) -> list[Arm]:
    """Return every arm whose hand lies in the image."""
    height, width = image.shape[:2]
    arms = []
    for person in people:
        for hand in HANDS:
            box = box_of_arm(person.pose, hand)
            if box and share_in_frame(box, width, height) >= IN_FRAME:
                arms.append(Arm(person.id, hand, box, arm_hangs(person.pose, hand)))
    return arms


def arm_of(box: Box, arms: Sequence[Arm]) -> Arm | None:
    """Return the arm with the nearest wrist, None where none is near enough."""
    near = [(far, arm) for arm in arms if (far := apart(box, arm.box)) < NEAR]
    return min(near, key=lambda pair: pair[0])[1] if near else None


def apart(a: Box, b: Box) -> float:
    """Return the distance of two centres in sides of the larger box."""
    return math.hypot(a.cx - b.cx, a.cy - b.cy) / max(a.side, b.side)


def inside(box: Box, other: Box) -> bool:
    """Whether a box lies in the middle of a much larger one: fingers detected as a separate hand."""
    return box.side < MUCH_SMALLER * other.side and apart(box, other) < SAME_HAND


def known(box: Box, candidates: Sequence[Candidate]) -> bool:
    """Whether a box holds the hand of one of the candidates."""
    return any(distance(box, c.box) < SAME_HAND or inside(box, c.box) for c in candidates)


def nearest(palms: Sequence[Palm], box: Box) -> Palm | None:
    """Return the palm nearest to the centre of a box, None without palms."""
    return min(palms, key=lambda palm: apart(palm.box, box), default=None)


def wholes_of(image: Pixels) -> list[Box]:
    """Return the whole image, and a larger square in which hands that fill the image appear smaller."""
    height, width = image.shape[:2]
    return [letterbox(image), Box(width / 2, height / 2, AFAR * max(height, width))]


def parts_of(image: Pixels) -> list[Box]:
    """Return further squares to search: zoomed out and rotated both ways, and tiles of the image."""
    height, width = image.shape[:2]
    afar = [Box(width / 2, height / 2, AFAR * max(height, width), turn) for turn in (-SIDEWAYS, SIDEWAYS)]
    side = PART * min(height, width)
    xs, ys = spread(width, side), spread(height, side)
    return afar + [Box(x, y, side) for y in ys for x in xs]
