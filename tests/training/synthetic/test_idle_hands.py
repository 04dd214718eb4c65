"""What the tables call a gesture: this is what an idle hand may not hold."""

from __future__ import annotations

import numpy as np
import pytest

from training.synthetic.clip.gestures import OTHERS, SHAPES
from training.synthetic.clip.motion import ARMS, RAISED
from training.synthetic.scenes.hands import GESTURES, SHAPE, arm_vector, shown, vector


def said(arm: np.ndarray, shape: np.ndarray) -> str:
    return str(shown(arm[None], shape[None])[0])


@pytest.mark.parametrize("gesture", GESTURES)
def test_a_gesture_of_the_table_is_shown(gesture: str) -> None:
    assert said(arm_vector(ARMS[gesture]), vector(SHAPES[gesture])) == gesture


@pytest.mark.parametrize("shape", [*OTHERS, "soft_down", "grip", "curl", "clasp", "phone", "keys", "pinch"])
def test_other_hands_show_none(shape: str) -> None:
    arm = arm_vector(RAISED)
    if shape == "soft_down":  # an open hand that hangs
        arm[6:9], shape = (0, 0, -1), "soft"
    assert said(arm, SHAPE[shape]) == ""


def test_a_thumb_that_points_down_shows_none() -> None:
    arm = arm_vector(ARMS["thumbs_up"])
    arm[9:12] *= -1  # the palm to the other side
    assert said(arm, SHAPE["thumbs_up"]) == ""


@pytest.mark.parametrize("palm", [(0, 1, 0), (1, 0, 0), (0, -0.3, 1)])
def test_an_open_palm_that_looks_elsewhere_is_no_stop(palm: tuple[float, ...]) -> None:
    arm = arm_vector(ARMS["stop"])
    arm[9:12] = palm
    assert said(arm, SHAPE["stop"]) == ""
