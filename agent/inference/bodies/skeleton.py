"""Joints and limbs of BodyPoseNet, in the order of its heatmaps and part affinity fields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.core.types import Floats

JOINTS = (
    "nose", "neck",
    "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
)  # fmt: skip
LIMBS = (
    (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 2), (2, 3), (3, 4), (2, 16),
    (1, 5), (5, 6), (6, 7), (5, 17), (1, 0), (0, 14), (0, 15), (14, 16), (15, 17),
)  # fmt: skip
"""Joint indices (from, to); the field of limb k is in channels 2k (x) and 2k + 1 (y)."""
SPARE = frozenset({9, 13})  # limbs from shoulder to ear: they close a ring, so they cannot start a person

HEATMAPS = len(JOINTS) + 1  # channels; the last one is background
FIELDS = 2 * len(LIMBS)

LIMB_FROM = np.array([a for a, _ in LIMBS])
LIMB_TO = np.array([b for _, b in LIMBS])
LIMB_OF = np.full((len(JOINTS), len(JOINTS)), -1)  # [from, to]; -1: no limb
LIMB_OF[LIMB_FROM, LIMB_TO] = np.arange(len(LIMBS))


@dataclass(frozen=True, slots=True, eq=False)
class Skeleton:
    """One person in the network's input.

    `joints` is float32 (18, 3): x and y in pixels of the input (the first pixel spans 0 to 1) and the value
    of the heatmap; a joint that was not found is (0, 0, 0). `score` is NVIDIA's: heatmap and limb scores /
    joints found, about 0.4 for a doubtful person and 1.5 for a clear one.
    """

    joints: Floats
    score: float

    @property
    def found(self) -> int:
        """Number of joints found."""
        return int((self.joints[:, 2] > 0).sum())
