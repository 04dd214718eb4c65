"""Bones of many moments at once are the bones of each moment on its own."""

from __future__ import annotations

import numpy as np
import pytest
from skeleton import stick_body, stick_rig

from training.synthetic.clip.body import place_bones, turn
from training.synthetic.clip.gestures import SHAPES, arm_turns
from training.synthetic.clip.motion import ARMS, mirrored
from training.synthetic.scenes.hands import arm_vector, vector
from training.synthetic.scenes.rig import SIDES, Side, Z
from training.synthetic.scenes.rig import turn as turns_of


@pytest.mark.parametrize("side", SIDES)
def test_an_arm_goes_where_the_clip_would_send_it(side: Side) -> None:
    body = stick_body()
    rig = stick_rig(body)
    names = [name for name in SHAPES if name in ARMS]
    chest = turn(Z, 9.0)
    arms = np.stack([arm_vector(ARMS[name]) for name in names])
    shapes = np.stack([vector(SHAPES[name]) for name in names])
    turned = rig.arm(side, arms, shapes, np.broadcast_to(chest, (len(names), 3, 3)))
    still = np.zeros((len(names), 3))
    placed = rig.place(turned, still, np.broadcast_to(np.eye(3), (len(names), 3, 3)))
    for k, name in enumerate(names):
        arm = ARMS[name] if side == "R" else mirrored(ARMS[name])
        posed = place_bones(body, arm_turns(body, side, arm, SHAPES[name], chest))
        for b, bone in enumerate(body.bones):
            assert placed[k, b, :, :3] == pytest.approx(posed.turns[b], abs=1e-6), (name, bone)
            assert rig.point(placed, bone)[k] == pytest.approx(posed.at[b], abs=1e-6), (name, bone)


def test_the_whole_body_turns_about_its_own_place() -> None:
    rig = stick_rig(stick_body())
    half = turns_of(Z, np.array([180.0]))
    placed = rig.place({}, np.array([[0.5, 0.2, -0.4]]), half)
    eye = rig.head("eye.L")
    assert rig.point(placed, "eye.L")[0] == pytest.approx([0.5 - eye[0], 0.2 - eye[1], eye[2] - 0.4])
