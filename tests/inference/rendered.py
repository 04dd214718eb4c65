"""What BodyPoseNet would say of people whose joints are known: drawn as TAO draws its training labels.

Heatmaps: a Gaussian of 7 px a joint at stride 8, the higher one where two overlap, nothing under 0.001.
Fields: a unit vector along each limb within 8 px of it, the mean where limbs of a kind overlap, at stride 8,
then every cell four times (the network's last layer starts as that).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from agent.core.types import Floats
from agent.inference.bodies.skeleton import FIELDS, HEATMAPS, JOINTS, LIMBS

SIZE = (288, 384)  # height and width of the input, px
STRIDE, SIGMA, BAND = 8, 7.0, 8.0  # px
CLIP = 0.001
STANDING = {  # shares of the body's height, from the neck: x to the right of the picture, y down
    "nose": (0.0, -0.11), "neck": (0.0, 0.0),
    "right_shoulder": (-0.12, 0.01), "right_elbow": (-0.17, 0.18), "right_wrist": (-0.19, 0.34),
    "left_shoulder": (0.12, 0.01), "left_elbow": (0.17, 0.18), "left_wrist": (0.19, 0.34),
    "right_hip": (-0.08, 0.33), "right_knee": (-0.09, 0.56), "right_ankle": (-0.09, 0.79),
    "left_hip": (0.08, 0.33), "left_knee": (0.09, 0.56), "left_ankle": (0.09, 0.79),
    "right_eye": (-0.03, -0.14), "left_eye": (0.03, -0.14),
    "right_ear": (-0.065, -0.12), "left_ear": (0.065, -0.12),
}  # fmt: skip
MISSING = np.nan


def person(x: float, y: float, height: float, **moved: tuple[float, float]) -> Floats:
    """float32 (18, 2) px: somebody facing us, neck at (x, y); `moved` joints in shares from the neck."""
    shares = np.array([moved.get(name, STANDING[name]) for name in JOINTS], np.float32)
    return shares * np.float32(height) + np.array([x, y], np.float32)


def without(joints: Floats, *names: str) -> Floats:
    """The same person, some joints not to be seen."""
    seen = joints.copy()
    seen[[JOINTS.index(name) for name in names]] = MISSING
    return seen


def connected(joints: Floats) -> Floats:
    """The same person, without the joints that no chain of limbs ties to the neck."""
    seen = np.isfinite(joints[:, 0])
    tied = {JOINTS.index("neck")}
    for _ in JOINTS:
        for a, b in LIMBS:
            if seen[a] and seen[b] and {a, b} & tied:
                tied |= {a, b}
    return without(joints, *(name for kind, name in enumerate(JOINTS) if kind not in tied))


def inside(joints: Floats, size: tuple[int, int] = SIZE) -> Floats:
    """The same person, joints beyond the picture not to be seen."""
    seen = joints.copy()
    x, y = seen[:, 0], seen[:, 1]
    seen[~((x >= 0) & (x < size[1]) & (y >= 0) & (y < size[0]))] = MISSING
    return seen


def heatmaps(people: Iterable[Floats], size: tuple[int, int] = SIZE) -> Floats:
    """float32 (h, w, 19)."""
    height, width = size[0] // STRIDE, size[1] // STRIDE
    ys, xs = (np.arange(n) * STRIDE + STRIDE / 2 for n in (height, width))
    maps = np.zeros((height, width, HEATMAPS), np.float32)
    for joints in people:
        for kind, (x, y) in enumerate(joints):
            if np.isfinite(x):
                column = np.exp(-((ys - y) ** 2) / (2 * SIGMA**2))
                row = np.exp(-((xs - x) ** 2) / (2 * SIGMA**2))
                maps[:, :, kind] = np.maximum(maps[:, :, kind], np.outer(column, row))
    maps[maps < CLIP] = 0
    maps[:, :, -1] = np.clip(1 - maps[:, :, :-1].max(axis=2), 0, 1)
    return maps


def fields(people: Iterable[Floats], size: tuple[int, int] = SIZE) -> Floats:
    """float32 (4h, 4w, 38)."""
    height, width = size[0] // STRIDE, size[1] // STRIDE
    ys, xs = np.mgrid[0:height, 0:width] * STRIDE + STRIDE / 2
    total = np.zeros((height, width, FIELDS), np.float32)
    count = np.zeros((height, width, len(LIMBS)), np.float32)
    for joints in people:
        for limb, (a, b) in enumerate(LIMBS):
            start, end = joints[a], joints[b]
            length = float(np.hypot(*(end - start)))
            if not np.isfinite(length) or length == 0:
                continue
            ux, uy = (end - start) / length
            across = np.abs((start[1] - ys) * ux - (start[0] - xs) * uy)
            low, high = np.minimum(start, end) - BAND, np.maximum(start, end) + BAND
            near = (xs >= low[0]) & (xs <= high[0]) & (ys >= low[1]) & (ys <= high[1])
            band = near & (across <= BAND)
            total[band, 2 * limb] += ux
            total[band, 2 * limb + 1] += uy
            count[band, limb] += 1
    mean = total / np.maximum(np.repeat(count, 2, axis=2), 1)
    return np.ascontiguousarray(mean.repeat(4, axis=0).repeat(4, axis=1))


def maps(
    people: Sequence[Floats], size: tuple[int, int] = SIZE, noise: float = 0.0, seed: int = 0
) -> tuple[Floats, Floats]:
    """Heatmaps and fields, with Gaussian noise of so much on both."""
    rng = np.random.default_rng(seed)
    return (
        (heatmaps(people, size) + rng.normal(0, noise, _shape(size, 1, HEATMAPS))).astype(np.float32),
        (fields(people, size) + rng.normal(0, noise, _shape(size, 4, FIELDS))).astype(np.float32),
    )


def _shape(size: tuple[int, int], finer: int, channels: int) -> tuple[int, int, int]:
    return size[0] // STRIDE * finer, size[1] // STRIDE * finer, channels
