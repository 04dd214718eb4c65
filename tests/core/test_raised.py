"""How high a hand is held: along the body, whatever the camera does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.raised import TORSO, raised
from agent.core.types import Pose

BODY = {
    "left_shoulder": (360.0, 100.0), "right_shoulder": (280.0, 100.0),
    "left_hip": (345.0, 220.0), "right_hip": (295.0, 220.0),
}  # fmt: skip


def pose(joints: dict[str, tuple[float, float]], scores: dict[str, float] | None = None) -> Pose:
    rows = [(x, y, (scores or {}).get(name, 1.0)) for name, (x, y) in joints.items()]
    return Pose(np.array(rows, np.float32), tuple(joints), 1.0)


@pytest.mark.parametrize(("y", "height"), [(220, 0.0), (160, 0.5), (100, 1.0), (40, 1.5), (280, -0.5)])
def test_hips_are_0_and_shoulders_1(y: float, height: float) -> None:
    assert raised(pose(BODY), 320, y) == pytest.approx(height)


def test_how_far_to_the_side_does_not_matter() -> None:
    assert raised(pose(BODY), 600, 160) == pytest.approx(0.5)


@given(turn=st.floats(-math.pi, math.pi), size=st.floats(0.2, 5.0))
def test_neither_a_turned_camera_nor_distance_matters(turn: float, size: float) -> None:
    def moved(x: float, y: float) -> tuple[float, float]:
        cos, sin = size * math.cos(turn), size * math.sin(turn)
        return cos * x - sin * y, sin * x + cos * y

    body = pose({name: moved(*point) for name, point in BODY.items()})
    assert raised(body, *moved(400, 130)) == pytest.approx(0.75, abs=1e-3)


def test_hips_that_the_pose_does_not_have_are_where_most_peoples_are() -> None:
    unseen = {"left_hip": 0.0, "right_hip": 0.0}
    assert raised(pose(BODY, unseen), 320, 100 + 80 * TORSO) == pytest.approx(0.0)
    shoulders = {name: at for name, at in BODY.items() if "shoulder" in name}
    assert raised(pose(shoulders), 320, 100) == pytest.approx(1.0)


def test_without_shoulders_nobody_knows() -> None:
    assert raised(pose(BODY, {"left_shoulder": 0.1}), 320, 160) is None
    assert raised(pose({"nose": (320.0, 50.0)}), 320, 160) is None


def test_a_body_seen_from_above_tells_nothing() -> None:
    above = {**BODY, "left_hip": (350.0, 130.0), "right_hip": (290.0, 130.0)}
    assert raised(pose(above), 320, 160) is None


def test_shoulders_in_one_place_tell_nothing_of_hips_that_are_unseen() -> None:
    edge_on = {**BODY, "left_shoulder": (320.0, 100.0), "right_shoulder": (320.0, 100.0)}
    assert raised(pose(edge_on, {"left_hip": 0.0}), 320, 160) is None
