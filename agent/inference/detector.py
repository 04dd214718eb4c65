"""Decoder of MediaPipe's single-shot detectors: anchors with score, box and keypoints.

Used for people (`pose-detector`) and palms (`palm-detector`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from agent.core.types import Box, Floats, Pixels
from agent.errors import EngineError, ModelError
from agent.inference.cropping import run_on_crops
from agent.inference.crops import points_in_picture
from agent.inference.engine import Engine
from agent.inference.manifest import Anchors, Manifest

MIN_SCORE = 0.5  # MediaPipe, tensors_to_detections: min_score_thresh
MIN_OVERLAP = 0.3  # MediaPipe, non_max_suppression: min_suppression_threshold
MAX_LOGIT = 100.0  # MediaPipe: score_clipping_thresh


class Detection:
    """One detection. `points` is float32 (2 + keypoints, 2) in px: centre, (width, height), keypoints."""

    __slots__ = ("points", "score")

    def __init__(self, points: Floats, score: float) -> None:
        self.points = points
        self.score = score


class Detector:
    """A single-shot detector that runs on square regions of an image.

    Raises `ModelError` for a wrong network.
    """

    def __init__(self, engine: Engine, manifest: Manifest, min_score: float = MIN_SCORE) -> None:
        if manifest.anchors is None or manifest.output.boxes is None or manifest.output.scores is None:
            raise ModelError(f"{manifest.name}: a detector's manifest needs [anchors], boxes and scores")
        self._engine, self._manifest = engine, manifest
        self._boxes, self._scores = manifest.output.boxes, manifest.output.scores
        self._min_score = min_score
        self._centres = anchor_centres(manifest.anchors, manifest.input.size)
        want = (len(self._centres), 4 + 2 * manifest.anchors.keypoints)
        have = engine.outputs.get(self._boxes, ())
        if have[1:] != want:
            raise ModelError(
                f"{manifest.name}: output {self._boxes} is {have}, its [anchors] ask for (N, {want})"
            )

    def find(self, image: Pixels, regions: list[Box]) -> list[list[Detection]]:
        """Detect in each region (rotated ones too), highest score first, in image px; one batch.

        Raises `EngineError`.
        """
        if not regions:
            return []
        spec = self._manifest.input
        results = run_on_crops(self._engine, [(image, region) for region in regions], spec)
        found = []
        for region, raw, logits in zip(regions, results[self._boxes], results[self._scores], strict=True):
            found.append([self._placed(d, region) for d in self._decoded(raw, logits[:, 0])])
        return found

    def _decoded(self, raw: Floats, logits: Floats) -> Iterator[Detection]:
        """Boxes in pixels of the input; overlapping ones are averaged by score (weighted NMS)."""
        if not np.isfinite(logits).all():
            raise EngineError(f"{self._manifest.name}: {self._scores} is not finite; its file is damaged")
        kept = np.flatnonzero(logits > np.log(self._min_score / (1 - self._min_score)))
        if not len(kept):
            return
        scores = 1 / (1 + np.exp(-np.clip(logits[kept], -MAX_LOGIT, MAX_LOGIT)))
        points = raw[kept].reshape(len(kept), -1, 2).copy()
        points[:, 0] += self._centres[kept]
        points[:, 2:] += self._centres[kept][:, None]
        order = np.argsort(-scores, kind="stable")
        while len(order):
            alike = _overlaps(points[order[0]], points[order]) > MIN_OVERLAP
            alike[0] = True
            group = order[alike]
            weights = scores[group][:, None, None]
            mean = (points[group] * weights).sum(axis=0) / weights.sum()
            yield Detection(np.asarray(mean, np.float32), float(scores[order[0]]))
            order = order[~alike]

    def _placed(self, found: Detection, region: Box) -> Detection:
        size = self._manifest.input.size
        placed = points_in_picture(found.points, region, size)
        placed[1] = found.points[1] * (region.side / min(size))
        return Detection(placed, found.score)


def anchor_centres(anchors: Anchors, size: tuple[int, int]) -> Floats:
    """Return anchor centres, float32 (count, 2) in input px; equal strides share a grid (SSD)."""
    height, width = size
    layers = []
    for stride in dict.fromkeys(anchors.strides):
        copies = 2 * anchors.strides.count(stride)  # two anchors a layer: at its scale, and between
        ys, xs = np.mgrid[0 : -(-height // stride), 0 : -(-width // stride)]
        grid = (np.stack([xs, ys], axis=-1).reshape(-1, 2) + 0.5) * stride
        layers.append(np.repeat(grid, copies, axis=0))
    return np.concatenate(layers).astype(np.float32)


def _overlaps(one: Floats, many: Floats) -> Floats:
    """Intersection over union of one detection with many."""
    low = np.maximum(one[0] - one[1] / 2, many[:, 0] - many[:, 1] / 2)
    high = np.minimum(one[0] + one[1] / 2, many[:, 0] + many[:, 1] / 2)
    shared = np.clip(high - low, 0, None).prod(axis=1)
    union = one[1].prod() + many[:, 1].prod(axis=1) - shared
    return np.asarray(shared / np.maximum(union, 1e-6), np.float32)
