"""BodyPoseNet: estimates the poses of all people in an image at once.

It processes the whole image in each frame, so no search is needed; identities come from tracking.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from agent.core.geometry import box_around
from agent.core.tracking import BoxTracker
from agent.core.types import Box, Floats, Image, Pixels, Pose, bgr_of
from agent.errors import EngineError, ModelError
from agent.inference.bodies.assembly import Decoding, decode
from agent.inference.bodies.person import Person
from agent.inference.bodies.skeleton import FIELDS, HEATMAPS, JOINTS, Skeleton
from agent.inference.cropping import run_on_crops, supports_device_crop
from agent.inference.engine import Engine, Shape
from agent.inference.manifest import Manifest
from agent.inference.stopwatch import Stopwatch

PAD = 128  # grey, as in training; 0 after normalisation
NVIDIAS_LEAST, OUR_LEAST = 0.4, 0.5  # minimum scores: NVIDIA's, and ours (`person_confidence`)
THERE = 0.5  # minimum score of an assembled joint, however low its heatmap: `MIN_JOINT` of core.geometry
FORGET_S = 2.0  # a person back within this time at about the same position keeps their id
UPPER = tuple(JOINTS.index(name) for name in JOINTS if name.endswith(("nose", "neck", "shoulder", "ear")))
BODY = 2.0  # side of a region / extent of head and shoulders


class BodyPoseNet:
    """The BodyPoseNet network and its decoder; stateless, so that all cameras share one instance.

    Sizes come from the engine; outputs are identified by their number of channels. Raises `ModelError` where
    inputs or outputs are not those of BodyPoseNet.
    """

    def __init__(self, engine: Engine, manifest: Manifest, min_person: float = OUR_LEAST) -> None:
        self._engine, self._manifest = engine, manifest
        self._batch, self._size = _input_of(engine, manifest)
        self._heatmaps = output_with(engine.name, engine.outputs, HEATMAPS)
        self._fields = output_with(engine.name, engine.outputs, FIELDS)
        self._decoding = Decoding(score=min_person * NVIDIAS_LEAST / OUR_LEAST)
        spec = manifest.input
        self._sized = spec.model_copy(update={"shape": ("N", *self._size, 3), "layout": "NHWC"})
        self._table = (np.arange(256, dtype=np.float32) - np.float32(spec.offset)) * np.float32(spec.scale)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the input in pixels."""
        return self._size

    def tracker(self, people: int, look_around_s: float) -> BodyPoseTracker:  # noqa: ARG002 (the seam's)
        """Create one camera's tracker for at most `people`; every frame is searched completely."""
        return BodyPoseTracker(self, people)

    def find(self, image: Pixels, watch: Stopwatch | None = None) -> list[Pose]:
        """Return the poses in an image (BGR), in its pixels, highest score first. Raises `EngineError`."""
        watch = watch or Stopwatch()
        with watch.stage("body"):
            results, scale, shift = self._run(image)
        with watch.stage("decode"):
            heatmaps, fields = results[self._heatmaps][0], results[self._fields][0]
            _check(self._engine.name, heatmaps, fields)
            people = decode(heatmaps, fields, self._size, self._decoding)
        return [_pose(skeleton, scale, shift) for skeleton in people]

    def _run(self, image: Pixels) -> tuple[dict[str, Floats], Floats, Floats]:
        """The outputs of the network, and the scale and shift of `letterboxed`."""
        spec = self._manifest.input
        if supports_device_crop(self._engine):
            box, scale, shift = framed(image, self._size)
            return run_on_crops(self._engine, [(image, box)], self._sized, fill=PAD), scale, shift
        picture, scale, shift = letterboxed(bgr_of(image), self._size)
        feed = np.zeros((self._batch, *picture.shape), np.float32)
        if spec.color == "RGB":
            picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
        cv2.LUT(picture, self._table, dst=feed[0])
        return self._engine.run({spec.name: feed}), scale, shift


class BodyPoseTracker:
    """Tracks the people of one camera with BodyPoseNet."""

    def __init__(self, net: BodyPoseNet, people: int) -> None:
        self._net, self._people = net, people
        self.tracker = BoxTracker(FORGET_S)

    def update(self, image: Pixels, at: float, watch: Stopwatch) -> list[Person]:
        """Return the nearest `people` people in the image at `at` seconds. Raises `EngineError`."""
        poses = self._net.find(image, watch)
        seen = sorted(((pose, region_of(pose)) for pose in poses), key=lambda s: -s[1].side)[: self._people]
        ids = self.tracker.update(at, [region for _, region in seen])
        return [Person(i, pose, region) for i, (pose, region) in zip(ids, seen, strict=True)]


def letterboxed(image: Image, size: tuple[int, int]) -> tuple[Image, Floats, Floats]:
    """Fit an image into the centre of a grey canvas, uint8 (*size, 3), keeping its aspect.

    Also returns scale (x, y) and shift (x, y) in pixels of the input: input = image * scale + shift.
    """
    height, width = image.shape[:2]
    share = min(size[0] / height, size[1] / width)
    high, wide = max(round(height * share), 1), max(round(width * share), 1)
    top, left = (size[0] - high) // 2, (size[1] - wide) // 2
    canvas = np.full((*size, 3), PAD, np.uint8)
    how = cv2.INTER_AREA if share <= 0.5 else cv2.INTER_LINEAR
    canvas[top : top + high, left : left + wide] = cv2.resize(image, (wide, high), interpolation=how)
    scale = np.array([wide / width, high / height], np.float32)
    return canvas, scale, np.array([left, top], np.float32)


def framed(image: Pixels, size: tuple[int, int]) -> tuple[Box, Floats, Floats]:
    """Return the box that crops an image as `letterboxed` does, and its scale and shift."""
    height, width = image.shape[:2]
    share = min(size[0] / height, size[1] / width)
    shift = np.array([(size[1] - width * share) / 2, (size[0] - height * share) / 2], np.float32)
    box = Box(width / 2, height / 2, min(size) / share)
    return box, np.array([share, share], np.float32), shift


def output_with(name: str, outputs: Mapping[str, Shape], channels: int) -> str:
    """Return the output whose last dimension is `channels`. Raises `ModelError` for none or several."""
    fitting = [key for key, shape in outputs.items() if len(shape) == 4 and shape[3] == channels]
    if len(fitting) != 1:
        seen = ", ".join(f"{key} {shape}" for key, shape in outputs.items())
        raise ModelError(
            f"{name}: {len(fitting)} outputs have {channels} channels (the last dimension), BodyPoseNet has "
            f"one; outputs are {seen}. Is this another network?"
        )
    return fitting[0]


def region_of(pose: Pose) -> Box:
    """Return a person's approximate region: twice the extent of head and shoulders, else of all joints.

    Legs are not used: they disappear behind tables and image borders, and the region would change as if it
    were another person's.
    """
    seen = pose.keypoints[:, 2] > 0
    upper = [row for row in UPPER if seen[row]]
    points = pose.keypoints[upper if len(upper) >= 3 else seen, :2]
    around = box_around(points)
    return Box(around.cx, around.cy, max(around.side * BODY, 1.0))


def _pose(skeleton: Skeleton, scale: Floats, shift: Floats) -> Pose:
    """A skeleton in pixels of the image; joints that were not found are (0, 0, 0)."""
    points = skeleton.joints.copy()
    seen = points[:, 2] > 0
    points[seen, :2] = (points[seen, :2] - shift) / scale
    points[seen, 2] = THERE + (1 - THERE) * np.minimum(points[seen, 2], 1)
    return Pose(points, JOINTS, min(1.0, skeleton.score * OUR_LEAST / NVIDIAS_LEAST))


def _input_of(engine: Engine, manifest: Manifest) -> tuple[int, tuple[int, int]]:
    """Batch and (height, width) of the input: the engine's, or the manifest's where those are dynamic."""
    spec = manifest.input
    shape = engine.inputs.get(spec.name)
    if shape is None or len(shape) != 4 or len(engine.inputs) != 1:
        seen = ", ".join(f"{key} {shape}" for key, shape in engine.inputs.items())
        raise ModelError(
            f'{manifest.name}: its inputs are {seen}; the manifest says one, "{spec.name}" of 4 dimensions; '
            "fix its manifest, or import the file again"
        )
    if spec.layout != "NHWC" or (isinstance(shape[3], int) and shape[3] != len("RGB")):
        raise ModelError(
            f'{manifest.name}: input "{spec.name}" is {shape}; BodyPoseNet wants (N, height, width, 3)'
        )
    batch, height, width = shape[:3]
    return (
        batch if isinstance(batch, int) else 1,
        (
            height if isinstance(height, int) else spec.size[0],
            width if isinstance(width, int) else spec.size[1],
        ),
    )


def _check(name: str, heatmaps: Floats, fields: Floats) -> None:
    if heatmaps.shape[-1] != HEATMAPS or fields.shape[-1] != FIELDS:
        raise EngineError(f"{name}: gives maps {heatmaps.shape} and {fields.shape}, not BodyPoseNet's")
    if not np.isfinite(heatmaps).all():
        raise EngineError(f"{name}: its heatmaps are not finite; its file is damaged, import it again")
