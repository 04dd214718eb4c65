"""How a hand is held: along and across the body, whatever the camera does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.geometry import MIDDLE, WRIST
from agent.core.posture import AT_FACE, CLOSED, TORSO, posture_of
from agent.core.types import Box, Floats, Pose

BODY = {
    "nose": (320.0, 60.0),
    "left_shoulder": (360.0, 100.0), "right_shoulder": (280.0, 100.0),
    "left_hip": (345.0, 220.0), "right_hip": (295.0, 220.0),
}  # fmt: skip
WIDTH = 80.0  # of its shoulders


def pose(joints: dict[str, tuple[float, float]], scores: dict[str, float] | None = None) -> Pose:
    rows = [(x, y, (scores or {}).get(name, 1.0)) for name, (x, y) in joints.items()]
    return Pose(np.array(rows, np.float32), tuple(joints), 1.0)


def raised(body: Pose, x: float, y: float) -> float | None:
    return posture_of(body, Box(x, y, 40)).raised


def pointing(degrees: float) -> Floats:
    """Landmarks of a hand that points so many degrees clockwise from up."""
    points = np.zeros((21, 2), np.float32)
    way = math.radians(degrees)
    points[WRIST] = 400, 150
    points[MIDDLE] = points[WRIST] + 30 * np.array([math.sin(way), -math.cos(way)])
    return points


@pytest.mark.parametrize(("y", "height"), [(220, 0.0), (160, 0.5), (100, 1.0), (40, 1.5), (280, -0.5)])
def test_hips_are_0_and_shoulders_1(y: float, height: float) -> None:
    assert raised(pose(BODY), 320, y) == pytest.approx(height)


def test_how_far_to_the_side_does_not_matter() -> None:
    assert raised(pose(BODY), 600, 160) == pytest.approx(0.5)


@given(turn=st.floats(-math.pi, math.pi), size=st.floats(0.2, 5.0))
def test_neither_a_turned_camera_nor_distance_matters(turn: float, size: float) -> None:
    def has_changed(x: float, y: float) -> tuple[float, float]:
        cos, sin = size * math.cos(turn), size * math.sin(turn)
        return cos * x - sin * y, sin * x + cos * y

    body = pose({name: has_changed(*point) for name, point in BODY.items()})
    landmarks = np.array([has_changed(x, y) for x, y in pointing(40)], np.float32)
    told = posture_of(body, Box(*has_changed(330, 70), 30 * size), landmarks)
    assert told.raised == pytest.approx(1.25, abs=1e-3)
    assert told.lean == pytest.approx(40, abs=0.1)
    assert told.at_face


def test_hips_that_the_pose_does_not_have_are_where_most_peoples_are() -> None:
    unseen = {"left_hip": 0.0, "right_hip": 0.0}
    assert raised(pose(BODY, unseen), 320, 100 + WIDTH * TORSO) == pytest.approx(0.0)
    shoulders = {name: at for name, at in BODY.items() if "shoulder" in name}
    assert raised(pose(shoulders), 320, 100) == pytest.approx(1.0)


@pytest.mark.parametrize(("way", "lean"), [(0, 0), (35, 35), (-35, 35), (90, 90), (180, 180), (-179, 179)])
def test_a_hand_leans_by_the_angle_between_it_and_the_body(way: float, lean: float) -> None:
    assert posture_of(pose(BODY), Box(400, 130, 40), pointing(way)).lean == pytest.approx(lean, abs=0.1)


def test_where_a_hand_points_is_unknown_without_landmarks() -> None:
    told = posture_of(pose(BODY), Box(400, 130, 40))
    assert (told.lean, told.raised) == (None, pytest.approx(0.75))


def test_a_closed_hand_at_the_chin_is_at_the_face() -> None:
    assert posture_of(pose(BODY), Box(325, 85, 0.3 * WIDTH)).at_face


def test_a_hand_held_out_before_the_face_is_not_at_it() -> None:
    nearer = CLOSED * WIDTH + 1  # and so larger
    assert not posture_of(pose(BODY), Box(325, 85, nearer)).at_face


def test_a_hand_beside_the_head_is_not_at_the_face() -> None:
    beside = BODY["nose"][0] + AT_FACE * WIDTH + 1
    assert not posture_of(pose(BODY), Box(beside, 60, 0.3 * WIDTH)).at_face


def test_a_face_that_is_not_seen_has_no_hand_at_it() -> None:
    hand = Box(325, 85, 0.3 * WIDTH)
    assert not posture_of(pose(BODY, {"nose": 0.1}), hand).at_face
    assert not posture_of(pose({name: at for name, at in BODY.items() if name != "nose"}), hand).at_face


def test_without_shoulders_nobody_knows() -> None:
    at_chin = Box(325, 85, 0.3 * WIDTH)
    told = posture_of(pose(BODY, {"left_shoulder": 0.1}), at_chin, pointing(0))
    assert (told.raised, told.lean, told.at_face) == (None, None, False)
    told = posture_of(pose({"nose": (320.0, 50.0)}), at_chin, pointing(0))
    assert (told.raised, told.lean, told.at_face, told.bodiless) == (None, None, False, False)


def test_a_body_seen_from_above_tells_nothing() -> None:
    above = {**BODY, "left_hip": (350.0, 130.0), "right_hip": (290.0, 130.0)}
    told = posture_of(pose(above), Box(325, 85, 24), pointing(0))
    assert (told.raised, told.lean, told.forearm, told.upright) == (None, None, None, None)


def test_shoulders_in_one_place_tell_nothing_of_hips_that_are_unseen() -> None:
    edge_on = {**BODY, "left_shoulder": (320.0, 100.0), "right_shoulder": (320.0, 100.0)}
    told = posture_of(pose(edge_on, {"left_hip": 0.0}), Box(325, 85, 24), pointing(0))
    assert (told.raised, told.lean, told.upright) == (None, None, None)
