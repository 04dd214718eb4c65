"""A frame's hands in steps: followed without a body, named by the arms of one, searched for, confirmed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent.core.types import Box, Image
from agent.core.work_plan import EVERY_FRAME, WorkPlan
from agent.inference.gestures.classifier import Readout
from agent.inference.hands.arms import ArmSearch
from agent.inference.hands.candidates import Arm, Candidate
from agent.inference.hands.finder import HandFinder

ROOM: Image = np.zeros((480, 640, 3), np.uint8)
HAND = Box(200, 200, 60)
SCORES = np.array([0.9, 0.1], np.float32)


def points(box: Box) -> np.ndarray:
    """Landmarks spread over a box."""
    rng = np.random.default_rng(3)
    xy = (rng.random((21, 2)) - 0.5) * box.side * 0.6 + (box.cx, box.cy)
    return np.column_stack([xy, np.zeros(21)]).astype(np.float32)


@pytest.fixture
def finder() -> HandFinder:
    """It has followed two hands into the next frame: the first of person 0, the second of nobody in view."""
    made = HandFinder(ArmSearch(), 4, 0.5, WorkPlan(("stop", "random"), EVERY_FRAME), has_landmarks=True)
    boxes = [HAND, Box(500, 300, 60)]
    candidates = [Candidate(boxes[0], 1.0, 0, "right"), Candidate(boxes[1], 1.0)]
    readouts = [Readout(box, SCORES, points(box), presence=1.0, right=1.0) for box in boxes]
    assert len(made.confirm(0.0, candidates, readouts)) == 2
    return made


def test_followed_hands_need_no_body_and_keep_their_names(finder: HandFinder) -> None:
    one, other = finder.followed(0.1)
    assert (one.person, one.followed is not None, one.kept) == (0, True, None)
    assert other.person != 0
    assert finder.name([one, other], []) == [one, other]


def test_a_body_names_the_hands_at_its_arms_and_drops_those_on_hanging_ones(finder: HandFinder) -> None:
    one, other = finder.followed(0.1)
    raised, hanging = Arm(7, "left", one.box, hangs=False), Arm(7, "right", other.box, hangs=True)
    assert finder.name([one, other], [raised, hanging]) == [replace(one, person=7, arm="left"), None]


def test_what_is_proposed_begins_with_the_named_hands_in_their_order(finder: HandFinder) -> None:
    named = [candidate for candidate in finder.name(finder.followed(0.1), []) if candidate]
    new = Arm(9, "left", Box(350, 100, 60), hangs=False)
    found = finder.propose(ROOM, 0.1, [new], named, body=True)
    assert found == [*named, Candidate(new.box, 1.0, 9, "left")]


def test_hands_without_landmarks_are_not_followed_by_them() -> None:
    made = HandFinder(ArmSearch(), 4, 0.5, WorkPlan(("stop", "random"), EVERY_FRAME), has_landmarks=False)
    made.confirm(0.0, [Candidate(HAND, 1.0, 0, "right")], [Readout(HAND, SCORES, presence=1.0, right=1.0)])
    assert made.followed(0.1) == []
    arm = Arm(0, "right", HAND, hangs=False)
    (found,) = made.propose(ROOM, 0.1, [arm], [], body=True)
    assert found.followed is not None
    assert made.propose(ROOM, 0.1, [replace(arm, hangs=True)], [], body=True) == []
