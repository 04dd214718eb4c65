"""How high a hand is held on its body. Pure.

People raise a hand to make a gesture to a camera; hands that talk, rest, type or hold a telephone are mostly
lower. Measured along the body, so that neither distance nor a turned camera matters.
"""

from __future__ import annotations

import math

from agent.core.geometry import MIN_JOINT
from agent.core.types import Pose

TORSO = 1.5  # shoulders to hips / width of the shoulders, of people who face the camera
FORESHORTENED = 0.7  # a torso shorter than this share of the shoulders' width is seen from above or below


def raised(pose: Pose, x: float, y: float) -> float | None:
    """0 at the height of the hips, 1 at that of the shoulders, for a point in full-frame pixels.

    Hips that are out of sight are where those of most people are. None: the pose has no shoulders, or it is
    seen so steeply from above or below that heights mean nothing.
    """
    left, right = pose.joint("left_shoulder"), pose.joint("right_shoulder")
    if left is None or right is None or min(left[2], right[2]) < MIN_JOINT:
        return None
    top = (left[0] + right[0]) / 2, (left[1] + right[1]) / 2
    width = math.dist(left[:2], right[:2])
    down = _to_hips(pose, top) or (0.0, TORSO * width)
    length = math.hypot(*down)
    if length <= FORESHORTENED * width or not length:
        return None
    below = (x - top[0]) * down[0] + (y - top[1]) * down[1]
    return 1 - below / length**2


def _to_hips(pose: Pose, top: tuple[float, float]) -> tuple[float, float] | None:
    """From the middle of the shoulders, in pixels. BlazePose places hips that it does not see rather well."""
    left, right = pose.joint("left_hip"), pose.joint("right_hip")
    if left is None or right is None or not left[2] or not right[2]:
        return None
    return (left[0] + right[0]) / 2 - top[0], (left[1] + right[1]) / 2 - top[1]
