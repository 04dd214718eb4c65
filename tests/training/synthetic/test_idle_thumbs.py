"""Thumbs get to where they belong, whatever the hand and however its fingers are bent at the moment."""

from __future__ import annotations

import numpy as np
import pytest
from skeleton import stick_body, stick_rig

from training.synthetic.scenes.activities import loose
from training.synthetic.scenes.hands import SHAPE
from training.synthetic.scenes.rig import SIDES, Side
from training.synthetic.scenes.script import Measures, Script
from training.synthetic.scenes.thumbs import MOST, reach_of

RIG = stick_rig(stick_body())
THUMB, INDEX = 0, 1
END = 3


def loosened(name: str, seed: int) -> np.ndarray:
    return loose(Script(Measures(), np.random.default_rng(seed)), name, 3.5)


@pytest.mark.parametrize("side", SIDES)
def test_fingers_are_where_the_whole_body_has_them(side: Side) -> None:
    shapes = np.stack([SHAPE["ok"], SHAPE["fist"]])
    still = np.broadcast_to(np.eye(3), (2, 3, 3))
    hand = {f"wrist.{side}": still, **RIG._fingers(side, shapes, still, 1.0 if side == "R" else -1.0)}
    placed = RIG.place(hand, np.zeros((2, 3)), still)
    joints = RIG.fingers(side, shapes)
    for number in range(1, 6):
        for k in (1, 2, 3):
            assert joints[:, number - 1, k - 1] == pytest.approx(
                RIG.point(placed, f"finger{number}-{k}.{side}")
            )
        tip = RIG.tips[SIDES.index(side), number - 1]
        assert joints[:, number - 1, END] == pytest.approx(RIG.point(placed, f"finger{number}-3.{side}", tip))


@pytest.mark.parametrize("seed", range(5))
def test_the_ring_of_ok_is_closed(seed: int) -> None:
    open_ = loosened("ok", seed)
    closed = reach_of(RIG)("ok", open_)
    before, after = (
        np.linalg.norm(hand[THUMB, END] - hand[INDEX, END])
        for hand in RIG.fingers("R", np.stack([open_, closed]))
    )
    assert before > 0.05
    assert after < 0.012
    assert closed[8:] == pytest.approx(open_[8:])  # the other fingers are left alone
    assert np.abs(closed[:8] - open_[:8]).max() <= MOST + 1e-6


def test_hands_whose_thumb_touches_nothing_stay_as_they_are() -> None:
    for name in ("stop", "thumbs_up", "curl", "grip"):
        shape = loosened(name, 1)
        assert reach_of(RIG)(name, shape) is shape
