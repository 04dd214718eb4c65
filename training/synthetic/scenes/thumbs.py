"""Solver for thumb contact: on the folded fingers in a fist, at the end of the index finger in ok.

Joint angles from a table with random variation do not make contact on an actual hand; so the nearest angles
that do are searched for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.optimize import least_squares

from training.synthetic.scenes.hands import Array
from training.synthetic.scenes.rig import Rig

HAND_M = 0.18  # the hand for which the thicknesses below hold
ON_TOP = 0.017  # metres from a finger's bone to the bone of a thumb that lies on it
PADS = 0.003  # metres between the ends of two fingers whose pads touch
STIFF = 2500.0  # degrees of deviation that cost as much as a metre of distance
MOST = 45.0  # degrees that a joint is turned away from the given angles
INDEX = slice(5, 8)  # the index finger's three bends in a shape
TOUCHING = ("fist", "fist_thumb", "two", "ok")
INDEX_FINGER, MIDDLE_FINGER, RING_FINGER = 1, 2, 3

Reach = Callable[[str, Array], Array]  # a shape's name and (21,) angles like it -> (21,) with thumb contact


def reach_of(rig: Rig) -> Reach:
    """Return the solver for a body's hands; shapes without thumb contact are returned unchanged."""
    size = float(np.linalg.norm(rig.tips[0, 2] - rig.head("wrist.R"))) / HAND_M
    return partial(_reaching, rig, size)


def _reaching(rig: Rig, size: float, name: str, shape: Array) -> Array:
    if name not in TOUCHING:
        return shape
    free = np.r_[0:5, INDEX] if name == "ok" else np.r_[0:5]
    given = shape[free]

    def with_(angles: Array) -> Array:
        out = shape.copy()
        out[free] = angles
        return out

    def cost(angles: Array) -> Array:
        beside = _beside(name, rig.fingers("R", with_(angles)[None])[0], size)
        return np.concatenate([beside, (angles - given) / STIFF])

    return with_(least_squares(cost, given, bounds=(given - MOST, given + MOST), diff_step=1e-3).x)


def _beside(name: str, joints: Array, size: float) -> Array:
    """Distance of the thumb's end, and perhaps its last joint, from the targets in metres."""
    end, last = joints[0, 3], joints[0, 2]
    if name == "fist":
        on_index, on_middle = _on(joints, INDEX_FINGER, size), _on(joints, MIDDLE_FINGER, size)
        return np.concatenate([end - on_middle, 0.5 * (last - on_index)])
    if name == "fist_thumb":
        return np.asarray(end - _on(joints, INDEX_FINGER, size))
    if name == "two":
        return np.asarray(end - _on(joints, RING_FINGER, size))
    apart = joints[0, 1] - joints[INDEX_FINGER, 3]
    return np.asarray(end - joints[INDEX_FINGER, 3] - apart / np.linalg.norm(apart) * PADS * size)


def _on(joints: Array, finger: int, size: float) -> Array:
    """The outer side of a folded finger's middle bone."""
    knuckle, middle, end = joints[finger, :3]
    outwards = middle - knuckle  # a folded finger's first bone stands off the palm
    return np.asarray((middle + end) / 2 + outwards / np.linalg.norm(outwards) * ON_TOP * size)
