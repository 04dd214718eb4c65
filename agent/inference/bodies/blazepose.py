"""BlazePose: a detector finds people, a landmark network estimates the joints of each.

The detector is slow. Once a person is found, the joints of the last frame give the next region, so the
detector runs only while nobody is tracked, or at intervals while there is room for another person; it then
searches the whole image and its tiles in turn.
"""

from __future__ import annotations

import math

import numpy as np

from agent.core.geometry import turn_up
from agent.core.tracking import BoxTracker
from agent.core.types import Box, Floats, Pixels, Pose
from agent.inference.bodies.deduplication import distinct, one_each
from agent.inference.bodies.person import Person
from agent.inference.bodies.tiling import tiles_of
from agent.inference.cropping import run_on_crops
from agent.inference.crops import points_in_picture
from agent.inference.detector import Detection, Detector
from agent.inference.engine import Engine
from agent.inference.manifest import Manifest
from agent.inference.stopwatch import Stopwatch

ROI_SIDE = 1.25  # MediaPipe, pose_detection_to_roi: scale_x
COLUMNS = 5  # of a landmark row: x, y, z, visibility logit, presence logit
CENTRE, EDGE = 33, 34  # auxiliary rows: middle of the hips, a point at the reach of the whole body
REACH = 2 * ROI_SIDE  # side of a region / distance from the hips to the reach of the body
PLAIN, LEANING = 0.6, math.radians(35)  # in a tile: minimum score, maximum angle from upright
MORE = 2  # regions evaluated beyond `people`, because some turn out to be a tracked person
FORGET_S = 2.0  # a person back within this time at about the same position keeps their id


class PoseNet:
    """BlazePose's two networks; stateless, so that all cameras share one instance."""

    def __init__(self, detector: Detector, engine: Engine, manifest: Manifest, min_person: float) -> None:
        self._detector, self._engine, self._manifest = detector, engine, manifest
        self._min_person = min_person

    def tracker(self, people: int, look_around_s: float) -> PoseTracker:
        """Create the tracker of one camera; at most `people`, redetection every `look_around_s` seconds."""
        return PoseTracker(self, people, look_around_s)

    def detect(self, image: Pixels, views: list[Box]) -> list[Box]:
        """Return the regions of all people in these squares of an image, largest first, with duplicates.

        In tiles only confident, upright people count: parts of people cut off by a tile resemble bodies lying
        down.
        """
        regions = []
        for view, found in zip(views, self._detector.find(image, views), strict=True):
            whole = view.side >= max(image.shape[:2])
            placed = [(_region_of(d), d.score) for d in found]
            regions += [region for region, score in placed if whole or _plain(region, score)]
        return sorted(regions, key=lambda region: -region.side)

    def read(self, image: Pixels, regions: list[Box]) -> list[tuple[Pose, Box] | None]:
        """Return for each region its person and the next region, or None where there is nobody."""
        if not regions:
            return []
        spec, out = self._manifest.input, self._manifest.output
        assert out.landmarks and out.presence  # checked by the manifest  # noqa: S101, PT018
        results = run_on_crops(self._engine, [(image, region) for region in regions], spec)
        rows = zip(regions, results[out.landmarks], results[out.presence], strict=True)
        return [self._person(raw, float(score.reshape(-1)[0]), region) for region, raw, score in rows]

    def _person(self, raw: Floats, score: float, region: Box) -> tuple[Pose, Box] | None:
        if score < self._min_person:
            return None
        table = raw.reshape(-1, COLUMNS)
        points = points_in_picture(table[:, :3], region, self._manifest.input.size)
        points[:, 2] = 1 / (1 + np.exp(-table[:, 3]))
        joints = self._manifest.joints
        pose = Pose(points[: len(joints)], joints, score)
        return pose, _region(points[CENTRE], points[EDGE])


class PoseTracker:
    """Tracks the people of one camera with BlazePose."""

    def __init__(self, net: PoseNet, people: int, look_around_s: float) -> None:
        self._net, self._people, self._look_around_s = net, people, look_around_s
        self._regions: list[Box] = []
        self._looks, self._looked_at = 0, -math.inf
        self.tracker = BoxTracker(FORGET_S)

    def update(self, image: Pixels, at: float, watch: Stopwatch) -> list[Person]:
        """Return the people in the image at `at` seconds, at most `people`. Raises `EngineError`."""
        regions = self._regions
        if not regions or (len(regions) < self._people and at - self._looked_at >= self._look_around_s):
            self._looked_at = at
            with watch.stage("detector"):
                regions = distinct([*regions, *self._net.detect(image, self._tiles(image))])
        with watch.stage("landmark"):
            seen = self._net.read(image, regions[: self._people + MORE])
        alone = one_each([found for found in seen if found])[: self._people]
        self._regions = [region for _, region in alone]
        ids = self.tracker.update(at, self._regions)
        return [Person(i, pose, region) for i, (pose, region) in zip(ids, alone, strict=True)]

    def _tiles(self, image: Pixels) -> list[Box]:
        """The squares to search: all at first, then in turn; also the whole image while it is empty."""
        whole, *parts = tiles_of(image)
        self._looks += 1
        if self._looks == 1:
            return [whole, *parts]
        turn = self._looks % (1 + len(parts))
        if self._regions:
            return [[whole, *parts][turn]]
        return [whole, *parts[max(turn - 1, 0) : turn]]


def _plain(region: Box, score: float) -> bool:
    return score >= PLAIN and abs(region.angle) <= LEANING


def _region_of(found: Detection) -> Box:
    return _region(found.points[2], found.points[3])


def _region(centre: Floats, reach: Floats) -> Box:
    """Square, rotated head up, of twice the distance between two points (MediaPipe's AlignmentPoints)."""
    x0, y0, x1, y1 = float(centre[0]), float(centre[1]), float(reach[0]), float(reach[1])
    side = math.dist((x0, y0), (x1, y1)) * REACH
    return Box(x0, y0, max(side, 1.0), turn_up(x0, y0, x1, y1))
