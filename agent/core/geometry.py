"""Geometry of hand boxes, in full-frame pixels: rotation, boxes from landmarks or joints, matching. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from agent.core.types import Box, Floats, Hand, Pose

MIN_JOINT = 0.5  # visibility under which a joint is a guess (BlazePose draws joints beyond the frame too)

PALM_SIDE, PALM_SHIFT = 2.6, 0.5  # MediaPipe: hand box = 2.6 x palm box, moved half a palm to the fingers
LANDMARK_SIDE, LANDMARK_SHIFT = (
    2.0,
    0.1,
)  # MediaPipe: hand box = 2 x the box of `PALM_AND_KNUCKLES`, moved 0.1
PALM_AND_KNUCKLES = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)  # they stay put when fingers bend
HANGING = 35  # degrees from straight down within which a forearm counts as hanging
WRIST, INDEX, MIDDLE, RING = 0, 5, 9, 13  # rows of the 21 hand landmarks; the fingers' knuckles (MCP)


def turn_up(x0: float, y0: float, x1: float, y1: float) -> float:
    """Return the rotation, within -pi..pi, of a box whose own "up" runs from (x0, y0) to (x1, y1)."""
    return math.atan2(x1 - x0, y0 - y1)


def shifted(box: Box, up: float) -> Box:
    """Return the box moved along its own "up" by `up` times its side."""
    step = box.side * up
    return Box(box.cx + step * math.sin(box.angle), box.cy - step * math.cos(box.angle), box.side, box.angle)


def box_of_palm(palm: Floats) -> Box:
    """Return the hand box of a detected palm, in full-frame pixels.

    `palm` is float32 (9, 2): centre, (width, height), then the seven keypoints, wrist first, middle knuckle
    third. MediaPipe's palm_detection_detection_to_roi.
    """
    centre, size, wrist, middle = palm[0], palm[1], palm[2], palm[4]
    angle = turn_up(float(wrist[0]), float(wrist[1]), float(middle[0]), float(middle[1]))
    palm_box = Box(float(centre[0]), float(centre[1]), float(size.max()), angle)
    return shifted(palm_box, PALM_SHIFT).scaled(PALM_SIDE)


def box_of_landmarks(landmarks: Floats) -> Box:
    """Return the hand box for the next frame, from the 21 landmarks (float32 (21, 2 or more)) of this one.

    MediaPipe's hand_landmark_landmarks_to_roi.
    """
    points = landmarks[:, :2]
    knuckles = (points[INDEX] + points[RING]) / 2 * 0.5 + points[MIDDLE] * 0.5
    angle = turn_up(*map(float, points[WRIST]), *map(float, knuckles))
    around = box_around(points[list(PALM_AND_KNUCKLES)], angle)
    return shifted(around, LANDMARK_SHIFT).scaled(LANDMARK_SIDE)


def box_around(points: Floats, angle: float = 0.0) -> Box:
    """Return the smallest square, rotated by `angle`, that contains all points."""
    cos, sin = math.cos(angle), math.sin(angle)
    own = points[:, :2] @ np.array([(cos, -sin), (sin, cos)], np.float32)
    low, high = own.min(axis=0), own.max(axis=0)
    x, y = (low + high) / 2
    return Box(float(x * cos - y * sin), float(x * sin + y * cos), float((high - low).max()), angle)


def box_of_arm(pose: Pose, hand: Hand, min_joint: float = MIN_JOINT) -> Box | None:
    """Return a rough hand box from body joints; its up runs from wrist to knuckles, or along the forearm.

    With knuckles (BlazePose): centre on the knuckles, side 2.7 x the palm, as MediaPipe Holistic does, but
    never under 1.1 x the forearm, because a hand seen from its edge has its knuckles close together.
    Without (BodyPoseNet): centre = wrist + 0.33 x forearm, side = 1.5 x the longer of forearm and 0.9 x upper
    arm (OpenPose, handDetector). None when the wrist, or what else is needed, scores under `min_joint`.
    """
    wrist, elbow = seen_joint(pose, f"{hand}_wrist", min_joint), seen_joint(pose, f"{hand}_elbow", min_joint)
    index, pinky = pose.joint(f"{hand}_index"), pose.joint(f"{hand}_pinky")
    if wrist is None:
        return None
    forearm = math.dist(wrist, elbow) if elbow else 0.0
    shoulder = seen_joint(pose, f"{hand}_shoulder", min_joint)
    arm = max(forearm, 0.9 * math.dist(shoulder, elbow)) if shoulder and elbow else forearm
    if index is None or pinky is None:
        if elbow is None:
            return None
        x, y = (w + 0.33 * (w - e) for w, e in zip(wrist, elbow, strict=True))
        return Box(x, y, 1.5 * arm, turn_up(*elbow, *wrist))
    x, y = (index[0] + pinky[0]) / 2, (index[1] + pinky[1]) / 2
    palm = math.dist(wrist, (x, y))
    along = elbow if elbow and palm < 0.1 * arm else wrist
    return Box(x, y, max(2.7 * palm, 1.1 * arm, 1.0), turn_up(*along, x, y))


def arm_hangs(pose: Pose, hand: Hand, min_joint: float = MIN_JOINT) -> bool:
    """Whether the forearm points down: such a hand makes no gesture but looks like a fist."""
    wrist, elbow = seen_joint(pose, f"{hand}_wrist", min_joint), seen_joint(pose, f"{hand}_elbow", min_joint)
    if wrist is None or elbow is None:
        return False
    return wrist[1] - elbow[1] > math.cos(math.radians(HANGING)) * math.dist(wrist, elbow)


def seen_joint(pose: Pose, name: str, min_joint: float = MIN_JOINT) -> tuple[float, float] | None:
    """Return a joint's (x, y) in pixels; None where it is missing or its score is under `min_joint`."""
    joint = pose.joint(name)
    return joint[:2] if joint and joint[2] >= min_joint else None


def share_in_frame(box: Box, width: int, height: int) -> float:
    """Return the share of a box, its rotation ignored, that lies inside a frame: 0..1."""
    half = box.side / 2
    wide = min(box.cx + half, width) - max(box.cx - half, 0.0)
    high = min(box.cy + half, height) - max(box.cy - half, 0.0)
    return max(wide, 0.0) * max(high, 0.0) / box.side**2 if box.side > 0 else 0.0


def matches(costs: Sequence[Sequence[float]], limit: float) -> list[tuple[int, int]]:
    """Match rows to columns greedily, lowest cost first, each used once, no cost above `limit`."""
    ranked = sorted(
        (cost, r, c) for r, row in enumerate(costs) for c, cost in enumerate(row) if cost <= limit
    )
    rows: set[int] = set()
    columns: set[int] = set()
    pairs = []
    for _, r, c in ranked:
        if r not in rows and c not in columns:
            rows.add(r)
            columns.add(c)
            pairs.append((r, c))
    return pairs
