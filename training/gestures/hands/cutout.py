"""Segmentation of photographed hands, to place them before other backgrounds.

Few people make each gesture before few walls: a network trained on pixels learns the walls. GrabCut, seeded
by the hand's bones, separates hand and wall well enough to prevent that.
"""

from __future__ import annotations

import cv2
import numpy as np

BONES = (
    (0, 1, 2, 3, 4),
    (0, 5, 6, 7, 8),
    (5, 9, 10, 11, 12),
    (9, 13, 14, 15, 16),
    (0, 17, 18, 19, 20),
    (13, 17),
)
PALM = (0, 1, 5, 9, 13, 17)
ITERATIONS = 3


def bones(points: np.ndarray, size: int, thickness: float) -> np.ndarray:
    """Draw a mask (size, size) of fingers `thickness` px wide and the palm; `points` (21, 2) px."""
    mask = np.zeros((size, size), np.uint8)
    for chain in BONES:
        cv2.polylines(
            mask, [np.round(points[list(chain)]).astype(np.int32)], False, 1, max(1, round(thickness))
        )
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points[list(PALM)]).astype(np.int32)), 1)
    return mask


def cut_out(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the opacity (H, W) uint8 of the hand in a square RGB image; `points` (21, 2) px of it."""
    size = image.shape[0] // 2
    small = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    at = points / 2
    palm = float(np.linalg.norm(at[0] - at[9]))
    sure = bones(at, size, palm * 0.12)
    near = cv2.dilate(bones(at, size, palm * 0.3), np.ones((3, 3)), iterations=max(1, round(palm * 0.12)))
    arm = np.zeros_like(sure)  # extend the wrist, away from the middle finger's knuckle
    away = at[0] + (at[0] - at[9]) / max(palm, 1) * size
    cv2.line(
        arm, np.round(at[0]).astype(int).tolist(), np.round(away).astype(int).tolist(), 1, round(palm * 0.75)
    )
    labels = np.full((size, size), cv2.GC_BGD, np.uint8)
    labels[(near > 0) | (arm > 0)] = cv2.GC_PR_FGD
    outside = (near == 0) & (arm == 0)
    close = cv2.dilate(near, np.ones((3, 3)), iterations=max(1, round(palm * 0.15))) > 0
    labels[outside & close] = cv2.GC_PR_BGD
    labels[sure > 0] = cv2.GC_FGD
    cv2.grabCut(small, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), ITERATIONS, cv2.GC_INIT_WITH_MASK)
    hand = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    soft = cv2.GaussianBlur(
        cv2.resize(hand * 255, image.shape[1::-1], interpolation=cv2.INTER_LINEAR), (0, 0), 1.2
    )
    return np.asarray(soft)


def into(room: np.ndarray, image: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Compose the hand of `image` (H, W, 3) before `room` (H, W, 3)."""
    a = opacity[..., None].astype(np.float32) / 255
    return np.asarray(image * a + room * (1 - a), np.uint8)
