"""Bodies: BlazePose's detector finds people, its landmark network reads each one's joints.

The detector is slow and sees a person once; from then on the last frame's joints say where to look, so it
runs only when nobody is followed, or now and then while there is room for one more person.
"""

from __future__ import annotations

import math

import numpy as np

from agent.core.geometry import overlap, turn_up
from agent.core.tracking import Tracker
from agent.core.types import Box, Floats, Image, Pose
from agent.inference.bodies.person import Person
from agent.inference.crops import letterbox, points_in_picture
from agent.inference.detector import Detection, Detector
from agent.inference.engine import Engine
from agent.inference.look import look
from agent.inference.manifest import Manifest
from agent.inference.stopwatch import Stopwatch

ROI_SIDE = 1.25  # MediaPipe, pose_detection_to_roi: scale_x
COLUMNS = 5  # of a landmark row: x, y, z, visibility logit, presence logit
CENTRE, REACH = 33, 34  # auxiliary rows: middle of the hips, a point as far as the whole body reaches
SAME_PERSON = 0.6  # overlap of two regions above which they hold one person
FORGET_S = 2.0  # a person who is back within this time, about where they were, is the same person


class PoseNet:
    """The two networks; remembers nothing, so all cameras share one."""

    def __init__(self, detector: Detector, engine: Engine, manifest: Manifest, min_person: float) -> None:
        self._detector, self._engine, self._manifest = detector, engine, manifest
        self._min_person = min_person

    def tracker(self, people: int, look_around_s: float) -> PoseTracker:
        """See `BodyNet.tracker`."""
        return PoseTracker(self, people, look_around_s)

    def detect(self, image: Image) -> list[Box]:
        """Regions of all people in a picture, the largest first."""
        found = self._detector.find(image, [letterbox(image)])[0]
        return sorted((_region_of(d) for d in found), key=lambda region: -region.side)

    def read(self, image: Image, regions: list[Box]) -> list[tuple[Pose, Box] | None]:
        """For each region the person in it and where to look for them next; None where nobody is."""
        if not regions:
            return []
        spec, out = self._manifest.input, self._manifest.output
        assert out.landmarks and out.presence  # the manifest's own check  # noqa: S101, PT018
        results = look(self._engine, [(image, region) for region in regions], spec)
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
        return pose, _region(points[CENTRE], points[REACH])


class PoseTracker:
    """The people of one camera."""

    def __init__(self, net: PoseNet, people: int, look_around_s: float) -> None:
        self._net, self._people, self._look_around_s = net, people, look_around_s
        self._regions: list[Box] = []
        self._looked_at = -math.inf
        self.tracker = Tracker(FORGET_S)

    def see(self, image: Image, at: float, watch: Stopwatch) -> list[Person]:
        """Everybody in the picture, at most `people`."""
        regions = self._regions
        if not regions or (len(regions) < self._people and at - self._looked_at >= self._look_around_s):
            self._looked_at = at
            with watch.stage("detector"):
                regions = _distinct([*regions, *self._net.detect(image)])[: self._people]
        with watch.stage("landmark"):
            seen = _one_each([found for found in self._net.read(image, regions) if found])
        self._regions = [region for _, region in seen]
        ids = self.tracker.update(at, self._regions)
        return [Person(i, pose, region) for i, (pose, region) in zip(ids, seen, strict=True)]


def _region_of(found: Detection) -> Box:
    return _region(found.points[2], found.points[3])


def _region(centre: Floats, reach: Floats) -> Box:
    """The square, turned head up, of twice the distance between two points (MediaPipe's AlignmentPoints)."""
    x0, y0, x1, y1 = float(centre[0]), float(centre[1]), float(reach[0]), float(reach[1])
    side = 2 * math.dist((x0, y0), (x1, y1)) * ROI_SIDE
    return Box(x0, y0, max(side, 1.0), turn_up(x0, y0, x1, y1))


def _distinct(regions: list[Box]) -> list[Box]:
    """Without those that lie on an earlier one."""
    kept: list[Box] = []
    for region in regions:
        if all(overlap(region, other) < SAME_PERSON for other in kept):
            kept.append(region)
    return kept


def _one_each(seen: list[tuple[Pose, Box]]) -> list[tuple[Pose, Box]]:
    """Two regions may slide onto one person: the better pose stays."""
    kept: list[tuple[Pose, Box]] = []
    for pose, region in sorted(seen, key=lambda s: -s[0].score):
        if all(overlap(region, other) < SAME_PERSON for _, other in kept):
            kept.append((pose, region))
    return [s for s in seen if any(s[0] is k[0] for k in kept)]
