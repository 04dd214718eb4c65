"""Where hands may be: what the finder of hands passes around, and how such places compare."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agent.core.geometry import arm_hangs, box_of_arm, share_in_frame
from agent.core.tracking import distance
from agent.core.types import HANDS, Box, Hand, Image
from agent.core.work_plan import HandMemory
from agent.inference.bodies.person import Person
from agent.inference.crops import letterbox, spread
from agent.inference.gestures.classifier import Readout
from agent.inference.hands.palm import Palm

NEAR = 0.75  # of the larger box's side: nearer to its wrist than this a hand is that arm's
SAME_HAND = 0.35  # distance under which two boxes hold one hand
MUCH_SMALLER = 0.6  # sides of a phantom / of the hand in whose middle it lies
IN_FRAME = 0.4  # share of a box that must lie in the picture for a hand to be seen in it
AFAR = 1.6  # side of the square / whole picture: a hand that fills the picture is too large for the detector
PART = 0.6  # side of the parts / short side of the picture: palms down to 12 px of 480
SIDEWAYS = math.pi / 2


@dataclass(frozen=True, slots=True)
class TrackedHand:
    """A hand as it was last seen; `box` is where to look next, `right` the log-odds of a right hand.

    `readout` is its last reading, `memory` what the plan of work remembers of it.
    """

    person: int
    hand: Hand
    box: Box
    at: float
    right: float
    readout: Readout | None = None
    memory: HandMemory | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place where a hand may be; `person` and `arm` say whose, where a body shows it."""

    box: Box
    score: float
    person: int | None = None
    arm: Hand | None = None
    followed: TrackedHand | None = None
    kept: Readout | None = None  # the last reading of a followed hand, where it stands for this frame too


@dataclass(frozen=True, slots=True)
class Arm:
    """A body's hand: roughly where, and whether the arm hangs."""

    person: int
    hand: Hand
    box: Box
    hangs: bool


def arms_of(people: Sequence[Person], image: Image) -> list[Arm]:
    """Every arm whose hand lies in the picture."""
    height, width = image.shape[:2]
    arms = []
    for person in people:
        for hand in HANDS:
            box = box_of_arm(person.pose, hand)
            if box and share_in_frame(box, width, height) >= IN_FRAME:
                arms.append(Arm(person.id, hand, box, arm_hangs(person.pose, hand)))
    return arms


def arm_of(box: Box, arms: Sequence[Arm]) -> Arm | None:
    """The arm that a hand belongs to: the nearest wrist, if near enough."""
    near = [(far, arm) for arm in arms if (far := apart(box, arm.box)) < NEAR]
    return min(near, key=lambda pair: pair[0])[1] if near else None


def apart(a: Box, b: Box) -> float:
    """Distance of centres in sides of the larger box."""
    return math.hypot(a.cx - b.cx, a.cy - b.cy) / max(a.side, b.side)


def inside(box: Box, other: Box) -> bool:
    """Whether a box lies in the middle of a much larger one: fingers taken for a hand of their own."""
    return box.side < MUCH_SMALLER * other.side and apart(box, other) < SAME_HAND


def known(box: Box, candidates: Sequence[Candidate]) -> bool:
    """Whether one of the candidates is this hand already."""
    return any(distance(box, c.box) < SAME_HAND or inside(box, c.box) for c in candidates)


def nearest(palms: Sequence[Palm], box: Box) -> Palm | None:
    """The palm nearest to the middle of a box."""
    return min(palms, key=lambda palm: apart(palm.box, box), default=None)


def wholes_of(image: Image) -> list[Box]:
    """The whole picture, and the same from afar, for hands that fill it."""
    height, width = image.shape[:2]
    return [letterbox(image), Box(width / 2, height / 2, AFAR * max(height, width))]


def parts_of(image: Image) -> list[Box]:
    """Squares to search when neither shows a hand: from afar, turned both ways, and parts of the picture."""
    height, width = image.shape[:2]
    afar = [Box(width / 2, height / 2, AFAR * max(height, width), turn) for turn in (-SIDEWAYS, SIDEWAYS)]
    side = PART * min(height, width)
    xs, ys = spread(width, side), spread(height, side)
    return afar + [Box(x, y, side) for y in ys for x in xs]
