"""How a hand is held on its body: how high, which way up, whether at the face. Pure.

People who make a gesture to a camera raise a hand, and it points up; hands that talk, rest, type or hold a
telephone are mostly lower or point elsewhere, and heads rest on closed hands. All is measured along and
across the body, so that neither distance nor a turned camera matters.
"""

from __future__ import annotations

import math
from typing import TypeAlias

from agent.core.geometry import MIDDLE, WRIST, seen_joint, turn_up
from agent.core.types import UNKNOWN, Bearing, Box, Floats, Pose

TORSO = 1.5  # shoulders to hips / width of the shoulders, of people who face the camera
FORESHORTENED = 0.7  # a torso shorter than this share of the shoulders' width is seen from above or below

# In widths of the shoulders. A closed hand at the head measures 0.2 to 0.4; one that is held out between face
# and camera is nearer and so larger: 0.5 and more where a man at a desk did so.
AT_FACE = 0.45  # from the nose to the middle of the hand
CLOSED = 0.44  # side of a hand's box

Point: TypeAlias = tuple[float, float]


def bearing_of(pose: Pose, hand: Box, landmarks: Floats | None = None) -> Bearing:
    """What the body tells of a hand; all in full-frame pixels.

    Landmarks are (21, 2 or more); which way a hand points is not known without them. Hips that are out
    of sight are where those of most people are. A pose without shoulders, or one that is seen so steeply
    from above or below that heights mean nothing, tells nothing.
    """
    left, right = seen_joint(pose, "left_shoulder"), seen_joint(pose, "right_shoulder")
    if left is None or right is None:
        return UNKNOWN
    top = (left[0] + right[0]) / 2, (left[1] + right[1]) / 2
    width = math.dist(left, right)
    down = _to_hips(pose, top) or (0.0, TORSO * width)
    length = math.hypot(*down)
    if length <= FORESHORTENED * width or not length:
        return UNKNOWN
    below = (hand.cx - top[0]) * down[0] + (hand.cy - top[1]) * down[1]
    return Bearing(
        1 - below / length**2,
        None if landmarks is None else _lean(landmarks, down),
        _at_face(pose, hand, width),
    )


def _to_hips(pose: Pose, top: Point) -> Point | None:
    """From the middle of the shoulders, in pixels. BlazePose places hips that it does not see rather well."""
    left, right = pose.joint("left_hip"), pose.joint("right_hip")
    if left is None or right is None or not left[2] or not right[2]:
        return None
    return (left[0] + right[0]) / 2 - top[0], (left[1] + right[1]) / 2 - top[1]


def _lean(landmarks: Floats, down: Point) -> float:
    pointing = turn_up(*map(float, (*landmarks[WRIST, :2], *landmarks[MIDDLE, :2])))
    return math.degrees(abs(math.remainder(pointing - turn_up(*down, 0.0, 0.0), math.tau)))


def _at_face(pose: Pose, hand: Box, width: float) -> bool:
    nose = seen_joint(pose, "nose")
    near = nose is not None and math.dist((hand.cx, hand.cy), nose) < AT_FACE * width
    return near and hand.side < CLOSED * width
