"""Removal of duplicate people: overlapping regions, and bodies detected within larger bodies."""

from __future__ import annotations

import numpy as np

from agent.core.tracking import distance
from agent.core.types import Box, Floats, Pose

SAME_REGION = 0.15  # distance of regions below which they hold one person; two at a table are 0.2 apart
SAME_BODY = 0.5  # share of a trunk covered by a larger one, above which it is that person's or hidden
TRUNK = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")


def distinct(regions: list[Box]) -> list[Box]:
    """Return the regions without those close to an earlier one."""
    kept: list[Box] = []
    for region in regions:
        if all(distance(region, other) > SAME_REGION for other in kept):
            kept.append(region)
    return kept


def one_each(seen: list[tuple[Pose, Box]]) -> list[tuple[Pose, Box]]:
    """Return each person once: of two overlapping trunks the larger stays."""
    trunks = [_trunk(pose) for pose, _ in seen]
    kept: list[int] = []
    for i in sorted(range(len(seen)), key=lambda i: -_area(trunks[i])):
        if all(_covered(trunks[i], trunks[k]) < SAME_BODY for k in kept):
            kept.append(i)
    return [seen[i] for i in sorted(kept)]


def _trunk(pose: Pose) -> Floats:
    """Upright rectangle around shoulders and hips, float32 (2, 2): lowest and highest x and y, px."""
    points = pose.keypoints[[pose.joints.index(name) for name in TRUNK], :2]
    return np.stack([points.min(axis=0), points.max(axis=0)])


def _area(rectangle: Floats) -> float:
    return float(np.prod(np.maximum(rectangle[1] - rectangle[0], 1.0)))


def _covered(rectangle: Floats, by: Floats) -> float:
    """Share of a rectangle that is covered by another."""
    low, high = np.maximum(rectangle[0], by[0]), np.minimum(rectangle[1], by[1])
    return float(np.prod(np.maximum(high - low, 0.0))) / _area(rectangle)
