from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.geometry import (
    arm_hangs,
    box_around,
    box_of_arm,
    box_of_landmarks,
    box_of_palm,
    matches,
    share_in_frame,
    shifted,
    turn_up,
)
from agent.core.types import Box, Floats, Pose

NUMBERS = st.floats(-500, 500)
ANGLES = st.floats(-math.pi, math.pi)


def pose(score: float = 1.0, **joints: tuple[float, float]) -> Pose:
    rows = np.array([(x, y, score) for x, y in joints.values()], np.float32)
    return Pose(rows, tuple(joints), 1.0)


def hand(angle: float = 0.0, size: float = 100.0) -> Floats:
    """21 landmarks of an open hand around (300, 200), fingers up before the turn."""
    points = np.zeros((21, 2))
    points[0] = (0, 0.5)
    for finger in range(5):
        for joint in range(4):
            points[1 + finger * 4 + joint] = (-0.4 + 0.2 * finger, 0.2 - 0.2 * joint)
    cos, sin = math.cos(angle), math.sin(angle)
    return np.asarray(points @ [(cos, sin), (-sin, cos)] * size + (300, 200), np.float32)


def test_up_is_zero_and_turns_clockwise() -> None:
    assert turn_up(0, 10, 0, 0) == 0
    assert turn_up(0, 0, 10, 0) == pytest.approx(math.pi / 2)
    assert turn_up(0, 0, -10, 0) == pytest.approx(-math.pi / 2)


@given(ANGLES)
def test_a_box_of_landmarks_turns_with_the_hand(angle: float) -> None:
    upright, turned = box_of_landmarks(hand()), box_of_landmarks(hand(angle))
    assert math.cos(turned.angle - upright.angle - angle) == pytest.approx(1, abs=1e-4)
    assert turned.side == pytest.approx(upright.side, rel=1e-3)


@given(ANGLES)
def test_a_box_of_landmarks_holds_the_whole_open_hand(angle: float) -> None:
    points, box = hand(angle), box_of_landmarks(hand(angle))
    assert box_around(points, box.angle).side <= box.side
    assert math.dist((box.cx, box.cy), points.mean(axis=0)) < box.side / 4


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=9), ANGLES)
def test_a_box_around_points_holds_them(points: list[tuple[float, float]], angle: float) -> None:
    box = box_around(np.array(points, np.float32), angle)
    cos, sin = math.cos(angle), math.sin(angle)
    for x, y in points:
        along = abs((x - box.cx) * cos + (y - box.cy) * sin)
        across = abs((y - box.cy) * cos - (x - box.cx) * sin)
        assert max(along, across) <= box.side / 2 + 1e-2


def test_a_palm_gives_a_box_that_reaches_over_the_fingers() -> None:
    palm = np.array([(100, 100), (40, 40), (100, 120), (90, 85), (100, 80), *[(110, 85)] * 4], np.float32)
    box = box_of_palm(palm)
    assert (box.cx, box.cy) == (100, pytest.approx(80))
    assert box.side == pytest.approx(104)
    assert box.angle == pytest.approx(0)


@given(NUMBERS, NUMBERS, st.floats(1, 200), ANGLES, st.floats(-2, 2))
def test_a_shift_there_and_back_changes_nothing(
    cx: float, cy: float, side: float, angle: float, up: float
) -> None:
    back = shifted(shifted(Box(cx, cy, side, angle), up), -up)
    assert (back.cx, back.cy) == (pytest.approx(cx, abs=1e-6), pytest.approx(cy, abs=1e-6))


def test_without_knuckles_the_box_lies_a_third_of_the_forearm_past_the_wrist() -> None:
    arm = pose(right_shoulder=(100, 300), right_elbow=(100, 200), right_wrist=(100, 100))
    box = box_of_arm(arm, "right")
    assert box == Box(100, pytest.approx(67), 150, 0)


def test_with_knuckles_the_box_lies_on_them() -> None:
    arm = pose(left_elbow=(100, 200), left_wrist=(100, 100), left_index=(110, 60), left_pinky=(130, 60))
    box = box_of_arm(arm, "left")
    assert box is not None
    assert (box.cx, box.cy) == (120, 60)
    assert 0 < box.angle < math.pi / 4


def test_a_hand_seen_from_its_edge_still_gets_a_box_of_its_arms_size() -> None:
    arm = pose(left_elbow=(100, 200), left_wrist=(100, 100), left_index=(100, 99), left_pinky=(100, 99))
    box = box_of_arm(arm, "left")
    assert box is not None
    assert box.side == pytest.approx(110)
    assert box.angle == pytest.approx(0)


@pytest.mark.parametrize("joints", [{}, {"right_elbow": (1, 2)}, {"right_wrist": (1, 2)}])
def test_without_a_wrist_or_what_else_is_needed_there_is_no_box(
    joints: dict[str, tuple[float, float]],
) -> None:
    assert box_of_arm(pose(left_knee=(0, 0), **joints), "right") is None


def test_a_guessed_wrist_gives_no_box() -> None:
    assert box_of_arm(pose(0.3, right_elbow=(100, 200), right_wrist=(100, 100)), "right") is None


@pytest.mark.parametrize(
    ("wrist", "hangs"), [((100, 300), True), ((150, 290), True), ((200, 290), False), ((100, 100), False)]
)
def test_an_arm_hangs_when_its_forearm_points_down(wrist: tuple[float, float], hangs: bool) -> None:
    assert arm_hangs(pose(right_elbow=(100, 200), right_wrist=wrist), "right") is hangs


def test_an_arm_that_is_not_seen_does_not_hang() -> None:
    assert not arm_hangs(pose(0.1, right_elbow=(100, 200), right_wrist=(100, 300)), "right")


def test_the_share_in_the_frame_falls_to_nothing_beyond_it() -> None:
    assert share_in_frame(Box(50, 50, 20), 100, 100) == 1
    assert share_in_frame(Box(0, 50, 20), 100, 100) == 0.5
    assert share_in_frame(Box(0, 0, 20), 100, 100) == 0.25
    assert share_in_frame(Box(-50, 50, 20), 100, 100) == 0


def test_the_nearest_pairs_are_matched_first() -> None:
    assert matches([[1.0, 0.2], [0.3, 0.1]], 1.0) == [(1, 1), (0, 0)]


def test_nothing_is_matched_beyond_the_limit() -> None:
    assert matches([[1.1]], 1.0) == []
    assert matches([], 1.0) == []
