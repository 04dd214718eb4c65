"""Bodies: BlazePose's detector finds people, its landmark network reads each one's joints.

The detector is slow and sees a person once; from then on the last frame's joints say where to look, so it
runs only when nobody is followed, or now and then while there is room for one more person: then it looks at
the whole picture and at its parts in turn.
"""

from __future__ import annotations

import math

import numpy as np

from agent.core.geometry import turn_up
from agent.core.tracking import BoxTracker
from agent.core.types import Box, Floats, Image, Pose
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
CENTRE, EDGE = 33, 34  # auxiliary rows: middle of the hips, a point as far as the whole body reaches
REACH = 2 * ROI_SIDE  # side of a region / a body from the hips to as far as it reaches
PLAIN, LEANING = 0.6, math.radians(35)  # in a part: at least as sure, at most as far from upright
MORE = 2  # regions that are read beyond `people`: some turn out to be a person who is known
FORGET_S = 2.0  # a person who is back within this time, about where they were, is the same person


class PoseNet:
    """The two networks; remembers nothing, so all cameras share one."""

    def __init__(self, detector: Detector, engine: Engine, manifest: Manifest, min_person: float) -> None:
        self._detector, self._engine, self._manifest = detector, engine, manifest
        self._min_person = min_person

    def tracker(self, people: int, look_around_s: float) -> PoseTracker:
        """See `BodyNet.tracker`."""
        return PoseTracker(self, people, look_around_s)

    def detect(self, image: Image, views: list[Box]) -> list[Box]:
        """Regions of all people in these squares of a picture, the largest first; some of them twice.

        In a part of the picture only plain and upright ones: what is left of somebody cut off looks like more
        bodies, lying down.
        """
        regions = []
        for view, found in zip(views, self._detector.find(image, views), strict=True):
            whole = view.side >= max(image.shape[:2])
            placed = [(_region_of(d), d.score) for d in found]
            regions += [region for region, score in placed if whole or _plain(region, score)]
        return sorted(regions, key=lambda region: -region.side)

    def read(self, image: Image, regions: list[Box]) -> list[tuple[Pose, Box] | None]:
        """For each region the person in it and where to look for them next; None where nobody is."""
        if not regions:
            return []
        spec, out = self._manifest.input, self._manifest.output
        assert out.landmarks and out.presence  # the manifest's own check  # noqa: S101, PT018
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
    """The people of one camera."""

    def __init__(self, net: PoseNet, people: int, look_around_s: float) -> None:
        self._net, self._people, self._look_around_s = net, people, look_around_s
        self._regions: list[Box] = []
        self._looks, self._looked_at = 0, -math.inf
        self.tracker = BoxTracker(FORGET_S)

    def update(self, image: Image, at: float, watch: Stopwatch) -> list[Person]:
        """Everybody in the picture, at most `people`."""
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

    def _tiles(self, image: Image) -> list[Box]:
        """At first everywhere; then in turn, and while nobody is there always in the whole picture too."""
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
    """The square, turned head up, of twice the distance between two points (MediaPipe's AlignmentPoints)."""
    x0, y0, x1, y1 = float(centre[0]), float(centre[1]), float(reach[0]), float(reach[1])
    side = math.dist((x0, y0), (x1, y1)) * REACH
    return Box(x0, y0, max(side, 1.0), turn_up(x0, y0, x1, y1))
