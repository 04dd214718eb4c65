"""Hand shapes and arm poses as rows of numbers, and the gesture that a hand shows according to them.

A *shape* is (21,) degrees: the thumb's across, out, roll, knuckle, tip, then knuckle, middle, end,
spread of index, middle, ring and little finger (see training/synthetic/clip/gestures.py). An *arm* is (12,):
wrist, elbow, fingers, palm, three numbers each, as in `ArmPose`, always for a right hand.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from training.synthetic.clip.gestures import OTHERS, SHAPES, ArmPose, Finger, HandShape, Thumb

Array = np.ndarray[Any, Any]

FINGERS = ("index", "middle", "ring", "little")
GESTURES = ("thumbs_up", "fist", "stop", "ok", "two")
MOST_CURL = 255.0  # degrees: the three joints of a finger that is folded into the palm
STRAIGHT, FOLDED = 0.27, 0.78  # shares of it, below and above
FACING = 0.64  # cosine: the palm of stop faces the camera within 50 degrees
UPRIGHT = 0.55  # cosine: its fingers, and the thumb of thumbs_up, point up
THUMB_OUT = -10.0  # degrees across the palm: below, the thumb stands away from the fist


def vector(shape: HandShape) -> Array:
    """Return (21,) of a shape in the table of training/synthetic/clip."""
    t = shape.thumb
    rows = [[t.across, t.out, t.roll, t.knuckle, t.tip]]
    for name in FINGERS:
        f: Finger = getattr(shape, name)
        rows.append([f.knuckle, f.middle, f.end, f.spread])
    return np.array([x for row in rows for x in row], float)


def arm_vector(pose: ArmPose) -> Array:
    """Return (12,) of a pose in the table of training/synthetic/clip."""
    return np.concatenate([pose.wrist, pose.elbow, pose.fingers, pose.palm])


def _curled(knuckle: float, middle: float, end: float, thumb: Thumb, fan: float = 2.0) -> HandShape:
    """All fingers alike, slightly more towards the little one."""
    return HandShape(
        thumb,
        Finger(knuckle, middle, end, fan),
        Finger(knuckle + 3, middle + 3, end + 2),
        Finger(knuckle + 5, middle + 4, end + 2, -fan),
        Finger(knuckle + 6, middle + 3, end + 1, -2 * fan),
    )


SHAPE: dict[str, Array] = {
    name: vector(shape)
    for name, shape in {
        **SHAPES,
        **OTHERS,
        # clip's fist closed more: the tips reach the palm of any of the bodies; the thumb lies across
        "fist": _curled(104, 90, 44, Thumb(30, 0, 10, 19, 30), fan=0),
        "fist_thumb": _curled(104, 90, 44, Thumb(55, -6, 12, 30, 20), fan=0),
        # clip's ok with the ring beside the palm, where its hole is seen
        "ok": replace(SHAPES["ok"], thumb=Thumb(2, 4, 0, 16, 16), index=Finger(42, 52, 34, 14)),
        "flat": _curled(4, 9, 5, Thumb(0, -4, 0, 4, 6)),  # on a table, on a chest
        "soft": _curled(14, 24, 12, Thumb(8, -2, 0, 10, 12)),  # a gesticulating hand
        "wide": _curled(4, 14, 8, Thumb(-14, -10, 0, 0, 4), fan=6),  # an explaining hand
        "curl": _curled(42, 56, 30, Thumb(24, 2, 6, 16, 22)),  # closed loosely, no fist
        "grip": _curled(38, 50, 26, Thumb(42, -14, 14, 8, 18)),  # around a cup
        "clasp": _curled(50, 46, 20, Thumb(20, 4, 0, 12, 16)),
        "phone": _curled(30, 46, 26, Thumb(30, -6, 0, 8, 14)),
        "keys": _curled(26, 34, 16, Thumb(22, 4, 0, 8, 10), fan=3),
        "pinch": HandShape(
            Thumb(24, 8, 0, 16, 20),
            Finger(44, 50, 30), Finger(40, 44, 24), Finger(44, 48, 26), Finger(46, 48, 26),
        ),
        "scratch": _curled(30, 42, 26, Thumb(14, 0, 0, 14, 18), fan=4),
    }.items()
}  # fmt: skip


def unit(rows: Array) -> Array:
    """Normalize the rows (..., 3) to length 1."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9))


def curls(shapes: Array) -> Array:
    """Return (N, 4) how far each finger is folded: 0 straight, 1 in the palm."""
    joints = shapes[:, 5:].reshape(-1, 4, 4)[..., :3]
    return np.asarray(joints.sum(axis=2) / MOST_CURL)


def shown(arms: Array, shapes: Array) -> Array:
    """Return (N,) names of the gesture that a hand shows, "" for none.

    This is the definition of a gesture here. fist, ok and two depend on the fingers alone, in any
    orientation; the palm of stop must face the camera with the fingers up, and the thumb of thumbs_up must
    point up.
    """
    curl = curls(shapes)
    straight, folded = curl < STRAIGHT, curl > FOLDED
    fingers, palm = unit(arms[:, 6:9]), unit(arms[:, 9:12])
    thumb_up = np.cross(fingers, palm)[:, 2]
    closed, thumb_out = folded.all(axis=1), shapes[:, 0] < THUMB_OUT
    # in ok the tip of the half bent index finger meets the thumb, which lies in front of the palm
    ring = (curl[:, 0] > 0.32) & (curl[:, 0] < 0.7) & (shapes[:, 0] > 0)
    names = np.full(len(arms), "", dtype="<U10")
    facing = (-palm[:, 1] > FACING) & (fingers[:, 2] > UPRIGHT)
    names[straight.all(axis=1) & facing & (shapes[:, 0] < 20)] = "stop"
    names[closed & ~thumb_out] = "fist"
    names[closed & thumb_out & (thumb_up > UPRIGHT)] = "thumbs_up"
    names[straight[:, :2].all(axis=1) & folded[:, 2:].all(axis=1) & ~thumb_out] = "two"
    names[ring & straight[:, 1:].all(axis=1)] = "ok"
    return names
