"""Hand boxes as in MediaPipe, and the two networks that find them.

A region of interest is `(cx, cy, side, angle)`: pixels of the full image, and the
angle in radians by which the square is rotated clockwise, as seen in the image, from
upright. Upright means: the fingers of the hand point up after cropping.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import onnxruntime as ort

STABLE = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)  # landmarks that bent fingers hardly move
PALM_SIDE = 192  # input of the palm detector, px
HAND_SIDE = 224  # input of the landmark network, px


class Roi(NamedTuple):
    """A rotated square region: centre, side and angle."""

    cx: float
    cy: float
    side: float
    angle: float


class Palm(NamedTuple):
    """A detected palm."""

    score: float
    box: np.ndarray  # cx, cy, w, h in px
    points: np.ndarray  # (7, 2) px; 0 wrist, 2 knuckle of the middle finger


class Hands(NamedTuple):
    """Output of the landmark network for N crops."""

    landmarks: np.ndarray  # (N, 21, 3) px of the 224 crop
    world: np.ndarray  # (N, 21, 3) metres, origin at the hand's centre
    presence: np.ndarray  # (N,)
    handedness: np.ndarray  # (N,)


def session(path: Path, threads: int) -> ort.InferenceSession:
    """Load a network with few threads that do not spin."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def crop_matrix(roi: Roi, size: int) -> np.ndarray:
    """Return the affine matrix (2, 3) from image pixels to pixels of a `size` square crop."""
    scale = size / roi.side
    c, s = np.cos(roi.angle) * scale, np.sin(roi.angle) * scale
    return np.array(
        [
            [c, s, size / 2 - c * roi.cx - s * roi.cy],
            [-s, c, size / 2 + s * roi.cx - c * roi.cy],
        ]
    )


def crop(image: np.ndarray, roi: Roi, size: int, border: int = cv2.BORDER_CONSTANT) -> np.ndarray:
    """Crop the square to `size` px."""
    inter = cv2.INTER_AREA if roi.side > size * 1.5 else cv2.INTER_LINEAR
    if roi.side > size * 2:  # warpAffine does not average: shrink first
        shrink = size * 1.2 / roi.side
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        roi = Roi(roi.cx * shrink, roi.cy * shrink, roi.side * shrink, roi.angle)
        inter = cv2.INTER_LINEAR
    return cv2.warpAffine(image, crop_matrix(roi, size), (size, size), flags=inter, borderMode=border)


def to_picture(points: np.ndarray, roi: Roi, size: int = HAND_SIDE) -> np.ndarray:
    """Transform crop pixels (K, 2) to image pixels."""
    offset = (points[:, :2] - size / 2) * (roi.side / size)
    c, s = np.cos(roi.angle), np.sin(roi.angle)
    return np.stack(
        [
            roi.cx + c * offset[:, 0] - s * offset[:, 1],
            roi.cy + s * offset[:, 0] + c * offset[:, 1],
        ],
        1,
    )


def _turn(start: np.ndarray, end: np.ndarray) -> float:
    angle = np.pi / 2 - np.arctan2(-(end[1] - start[1]), end[0] - start[0])
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def roi_from_palm(palm: Palm) -> Roi:
    """MediaPipe's rule: rotate wrist-knuckle up, shift half a palm up, side 2.6 palms."""
    angle = _turn(palm.points[0], palm.points[2])
    cx, cy, w, h = palm.box
    return Roi(cx + 0.5 * h * np.sin(angle), cy - 0.5 * h * np.cos(angle), 2.6 * max(w, h), angle)


def roi_from_landmarks(points: np.ndarray) -> Roi:
    """MediaPipe's rule for tracking; `points` (21, 2) in image pixels."""
    aim = ((points[5] + points[13]) / 2 + points[9]) / 2
    angle = _turn(points[0], aim)
    stable = points[list(STABLE)]
    middle = (stable.min(0) + stable.max(0)) / 2
    c, s = np.cos(-angle), np.sin(-angle)
    local = (stable - middle) @ np.array([[c, s], [-s, c]])
    low, high = local.min(0), local.max(0)
    centre, (w, h) = (low + high) / 2, high - low
    c, s = np.cos(angle), np.sin(angle)
    centre = centre + np.array([0.0, -0.1 * h])
    cx, cy = middle + np.array([c * centre[0] - s * centre[1], s * centre[0] + c * centre[1]])
    return Roi(float(cx), float(cy), float(2.0 * max(w, h)), angle)


def _anchors() -> np.ndarray:
    rows = []
    for cells, copies in ((24, 2), (12, 6)):
        y, x = np.mgrid[:cells, :cells]
        grid = (np.stack([x, y], -1).reshape(-1, 2) + 0.5) / cells
        rows.append(np.repeat(grid, copies, 0))
    return np.concatenate(rows)


class PalmDetector:
    """The palm detector as the agent fetches it."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._session = session(path, threads)
        self._input = self._session.get_inputs()[0].name
        self._anchors = _anchors()

    def find(self, image: np.ndarray, min_score: float = 0.5) -> list[Palm]:
        """Detect palms in an RGB image, letterboxed to 192 px, best first."""
        h, w = image.shape[:2]
        scale = PALM_SIDE / max(h, w)
        nh, nw = round(h * scale), round(w * scale)
        top, left = (PALM_SIDE - nh) // 2, (PALM_SIDE - nw) // 2
        canvas = np.zeros((PALM_SIDE, PALM_SIDE, 3), np.float32)
        canvas[top : top + nh, left : left + nw] = (
            cv2.resize(image, (nw, nh), interpolation=cv2.INTER_AREA) / 255.0
        )
        raw, score = self._session.run(["boxes", "scores"], {self._input: canvas.transpose(2, 0, 1)[None]})
        score = 1 / (1 + np.exp(-np.clip(score[0, :, 0], -50, 50)))
        keep = np.nonzero(score > min_score)[0]
        boxes = raw[0, keep].astype(np.float64) / PALM_SIDE
        score = score[keep]
        centre = self._anchors[keep]
        boxes[:, :2] += centre
        boxes[:, 4:] += np.tile(centre, 7)
        pixels = boxes * PALM_SIDE
        pixels[:, 0] -= left
        pixels[:, 1] -= top
        pixels[:, 4::2] -= left
        pixels[:, 5::2] -= top
        pixels /= scale
        return merge([Palm(float(s), p[:4], p[4:].reshape(7, 2)) for s, p in zip(score, pixels, strict=True)])


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Return the intersection over union of two (cx, cy, w, h)."""
    low = np.maximum(a[:2] - a[2:] / 2, b[:2] - b[2:] / 2)
    high = np.minimum(a[:2] + a[2:] / 2, b[:2] + b[2:] / 2)
    inter = float(np.prod(np.clip(high - low, 0, None)))
    return inter / float(a[2] * a[3] + b[2] * b[3] - inter + 1e-9)


def merge(palms: list[Palm], limit: float = 0.3) -> list[Palm]:
    """Weighted non-maximum suppression: overlapping palms are averaged by score."""
    rest = sorted(palms, key=lambda p: -p.score)
    out = []
    while rest:
        best = rest[0]
        group = [p for p in rest if overlap(best.box, p.box) > limit]
        rest = [p for p in rest if overlap(best.box, p.box) <= limit and p is not best]
        group = group or [best]
        weight = np.array([p.score for p in group])
        weight = weight / weight.sum()
        out.append(
            Palm(
                best.score,
                sum(w * p.box for w, p in zip(weight, group, strict=True)),
                sum(w * p.points for w, p in zip(weight, group, strict=True)),
            )
        )
    return out


class HandNet:
    """The landmark network as `gesture-agent models fetch` makes it."""

    OUTPUTS = ("landmarks", "presence", "handedness", "world")

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._session = session(path, threads)
        self._input = self._session.get_inputs()[0].name

    def run(self, crops: np.ndarray) -> Hands:
        """Run the network on `crops` (N, 224, 224, 3) uint8 RGB."""
        x = np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32) / np.float32(255)
        points, presence, handedness, world = self._session.run(list(self.OUTPUTS), {self._input: x})
        return Hands(
            points.reshape(-1, 21, 3),
            world.reshape(-1, 21, 3),
            presence[:, 0],
            handedness[:, 0],
        )
