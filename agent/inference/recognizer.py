"""Recogniser: turns frames into hand detections with gesture probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TypeAlias

import numpy as np

from agent.config.settings import RecognitionSettings
from agent.core.frame_memory import FrameMemory, OrdinaryFrameMemory
from agent.core.geometry import box_of_landmarks
from agent.core.posture import posture_of, sure_hands
from agent.core.types import Box, Detections, Frame, HandDetection, Image, Pixels
from agent.core.work_plan import ImageResult, Rates, WorkPlan
from agent.errors import EngineAway
from agent.inference.bodies.person import BodyNet, BodyTracker, Person
from agent.inference.engine import RemoteEngine
from agent.inference.gestures.classifier import HandClassifier, Readout
from agent.inference.hands.arms import ArmSearch
from agent.inference.hands.candidates import Candidate, arms_of
from agent.inference.hands.finder import HandFinder, hand_box
from agent.inference.hands.palm import PalmFinder
from agent.inference.hands.search import HandSearch
from agent.inference.stopwatch import Stopwatch

TRUST_IN_PICTURE = 0.1  # score from which a palm is preferred to the whole image, without a given box
GIVEN_TO_HAND = 1.3  # hand box / a box drawn tightly around a hand
GIVEN_REGIONS = (1.4, 2.0, 3.0)  # squares searched for the palm / the given box: the detector needs a margin
FILLS = 1 / 3  # smallest share of the short side that a hand covers in an image cropped around it
AS_GOOD = 0.9  # a second classification replaces the first unless its presence is below this share of it


@dataclass(slots=True, eq=False)
class _CameraTracking:
    """Tracking state of one camera; `people` are those of the last poses."""

    bodies: BodyTracker | None
    hands: HandFinder
    plan: WorkPlan
    people: list[Person]

    def see_people(self, frame: Frame, watch: Stopwatch) -> list[Person]:
        """The people in a frame; those of the last poses where the work plan skips pose estimation."""
        if self.bodies and self.plan.poses(frame.at, self.hands.tracked).do:
            self.people = self.bodies.update(frame.pixels, frame.at, watch)
            self.plan.record_poses(frame.at, [(person.id, person.pose) for person in self.people])
        return self.people


Read: TypeAlias = Callable[[], Readout]
"""Waits for the classifier's result for one hand."""


@dataclass(slots=True, eq=False)
class _Look:
    """One frame on its way through the networks.

    `early` are the tracked hands, with the classifications that were started before the poses. `found` are
    the candidates, `reads` what is read of them.
    """

    frame: Frame
    tracking: _CameraTracking
    watch: Stopwatch
    early: list[tuple[Candidate, Read | None]] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    found: list[Candidate] = field(default_factory=list)
    reads: list[Read | None] = field(default_factory=list)

    def find_people(self) -> None:
        """Find the people, or take those of the last poses."""
        self.people = self.tracking.see_people(self.frame, self.watch)

    def find_hands(self) -> None:
        """Name the tracked hands by the arms of the people, and search for others. Raises `EngineError`."""
        frame, hands = self.frame, self.tracking.hands
        with self.watch.stage("palm"):
            arms = arms_of(self.people, frame.pixels)
            named = hands.name([candidate for candidate, _ in self.early], arms)
            kept = [candidate for candidate in named if candidate]
            self.found = hands.propose(frame.pixels, frame.at, arms, kept, body=bool(self.people))
        self.reads = [read for (_, read), candidate in zip(self.early, named, strict=True) if candidate]
        self.reads += [None] * (len(self.found) - len(self.reads))


class Recognizer:
    """Recognises people, hands and gestures in frames of all cameras. Not thread-safe."""

    def __init__(
        self,
        settings: RecognitionSettings,
        pose: BodyNet | None,
        palms: PalmFinder | None,
        classifier: HandClassifier,
        *,
        close: Callable[[], None] = lambda: None,
        new_frames: Callable[[], None] = lambda: None,
        backends: Mapping[str, str] | None = None,
        models: Mapping[str, str] | None = None,
        remotes: Sequence[RemoteEngine] = (),
        rates: Rates | None = None,
        frame_memory: FrameMemory | None = None,
    ) -> None:
        self.models = dict(models or {})  # name: sha256 of the loaded file, or the address where it runs
        self.frame_memory = frame_memory or OrdinaryFrameMemory()  # best for the frames that it is given
        self._remotes, self._rates = tuple(remotes), rates
        self._settings, self._pose, self._palms, self._classifier = settings, pose, palms, classifier
        self.backends = dict(backends or {})  # name: backend
        self._close, self._new_frames = close, new_frames
        self._tracking: dict[str, _CameraTracking] = {}

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the scores."""
        return self._classifier.labels

    def recognize(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return the detections of each frame, in order.

        Hands before bodies: the boxes of tracked hands come from their last landmarks, so that a GPU
        classifies them while it estimates the poses, which only name them or drop those on hanging arms.

        Raises `EngineError`, and `EngineAway` while a remote network is offline.
        """
        for remote in self._remotes:
            if remote.away is not None:
                raise EngineAway(remote.away)  # before work whose result could not be used
        self._new_frames()
        looks = [_Look(frame, self._tracking_of(frame.camera), Stopwatch()) for frame in frames]
        together = Stopwatch()
        self._follow(looks, together)
        for look in looks:
            look.find_people()
        for look in looks:
            look.find_hands()
        self._read_rest(looks, together)
        with together.stage("classifier"):
            readouts = [[read() for read in look.reads if read] for look in looks]
        return [
            self._detections(look, read, {**look.watch.ms, **together.ms})
            for look, read in zip(looks, readouts, strict=True)
        ]

    def _follow(self, looks: Sequence[_Look], watch: Stopwatch) -> None:
        """Start to classify the tracked hands, where that goes on beside the poses on a device.

        On the CPU all hands of a frame are one batch, once a body has dropped those on hanging arms.
        """
        beside = self._classifier.runs_beside
        followed = [(look, look.tracking.hands.followed(look.frame.at)) for look in looks]
        wanted = [(look, c) for look, candidates in followed for c in candidates if beside and c.kept is None]
        reads = iter(self._start(wanted, watch))
        for look, candidates in followed:
            look.early = [(c, next(reads) if beside and c.kept is None else None) for c in candidates]

    def _read_rest(self, looks: Sequence[_Look], watch: Stopwatch) -> None:
        """Start to classify, as one batch, the hands of all frames that are not; reuse what is kept."""
        rest = [
            (look, i)
            for look in looks
            for i, candidate in enumerate(look.found)
            if look.reads[i] is None and candidate.kept is None
        ]
        reads = self._start([(look, look.found[i]) for look, i in rest], watch)
        for (look, i), read in zip(rest, reads, strict=True):
            look.reads[i] = read
        for look in looks:
            look.reads = [
                read or partial(_kept, candidate)
                for read, candidate in zip(look.reads, look.found, strict=True)
            ]

    def _start(self, wanted: Sequence[tuple[_Look, Candidate]], watch: Stopwatch) -> list[Read]:
        """Start one batch; each of the returned functions waits for all of it."""
        with watch.stage("crop"):
            crops = [
                self._classifier.crop(look.frame.pixels, c.box, _last_image_result(c), look.frame.at)
                for look, c in wanted
            ]
        with watch.stage("classifier"):
            batch = cache(self._classifier.start_crops(crops))
        return [partial(_row, batch, row) for row in range(len(crops))]

    def recognize_still(self, image: Image) -> list[HandDetection]:
        """Return every hand of one photograph (BGR). Raises `EngineError`.

        Each hand is classified twice, the second time with a crop along the landmarks of the first, as in
        tracking.
        """
        tracking = self._new_tracking()
        people = tracking.bodies.update(image, 0.0, Stopwatch()) if tracking.bodies else []
        for candidates in tracking.hands.propose_for_still(image, people):
            found, readouts = self._read_twice(image, candidates)
            if seen := tracking.hands.confirm(0.0, found, readouts):
                return _with_posture(seen, people, image)
        return []

    def hands_in(self, image: Image, box: tuple[float, float, float, float] | None) -> list[HandDetection]:
        """Return the hand inside an upright box (left, top, right, bottom px); None: in the whole image.

        The palm nearest to the centre of the box gives the rotation; without one the hand is assumed to point
        up. In a whole image where the hand is small, all hands are detected, as in a photograph. Raises
        `EngineError`.
        """
        left, top, right, bottom = box or (0.0, 0.0, float(image.shape[1]), float(image.shape[0]))
        given = Box((left + right) / 2, (top + bottom) / 2, max(right - left, bottom - top))
        trust = TRUST_IN_PICTURE if box is None else 1.0
        candidates = [Candidate(given.scaled(GIVEN_TO_HAND), trust)]
        regions = [given.scaled(side) for side in GIVEN_REGIONS]
        for palms in self._palms.find(image, regions) if self._palms else ():
            candidates += [Candidate(palm.box, palm.score) for palm in palms]
        found, readouts = self._read_twice(image, candidates)
        best = max(range(len(found)), key=lambda i: _crop_score(found[i], readouts[i], given))
        said = readouts[best]
        if said.scores is None:
            return []
        own = hand_box(found[best], said)
        whole = [] if box or own.side >= FILLS * min(image.shape[:2]) else self.recognize_still(image)
        return whole or [HandDetection(0, "right", own, said.scores, said.points, said.embedding)]

    def read(self, image: Image, hands: Sequence[Box]) -> list[Readout]:
        """Classify hands at known boxes, given without margin. Raises `EngineError`."""
        return self._classifier.read(image, hands)

    def forget(self, camera: str) -> None:
        """Drop all tracking state of a camera."""
        self._tracking.pop(camera, None)

    def close(self) -> None:
        """Close all networks."""
        self._close()

    def _tracking_of(self, camera: str) -> _CameraTracking:
        if camera not in self._tracking:
            self._tracking[camera] = self._new_tracking()
        return self._tracking[camera]

    def _detections(self, look: _Look, readouts: list[Readout], ms: dict[str, float]) -> Detections:
        frame, people = look.frame, look.people
        hands = look.tracking.hands.confirm(frame.at, look.found, readouts)
        return Detections(
            frame=frame,
            people=max(len(people), len({hand.person for hand in hands})),
            hands=tuple(_with_posture(hands, people, frame.pixels)),
            poses=tuple(person.pose for person in people),
            stage_ms=ms,
        )

    def _read_twice(self, image: Image, found: list[Candidate]) -> tuple[list[Candidate], list[Readout]]:
        first = self._classifier.read(image, [c.box for c in found])
        if not first or first[0].landmarks is None:
            return found, first
        closer = [
            Candidate(box_of_landmarks(r.landmarks), c.score, c.person, c.arm, c.followed)
            for c, r in zip(found, first, strict=True)
            if r.landmarks is not None
        ]
        second = self._classifier.read(image, [c.box for c in closer])
        better = [
            (r2.presence or 0.0) >= (r1.presence or 0.0) * AS_GOOD
            for r1, r2 in zip(first, second, strict=True)
        ]
        return (
            [b if take else a for a, b, take in zip(found, closer, better, strict=True)],
            [b if take else a for a, b, take in zip(first, second, better, strict=True)],
        )

    def _new_tracking(self) -> _CameraTracking:
        s = self._settings
        bodies = self._pose.tracker(s.people, s.redetect_interval) if self._pose else None
        rates = self._rates or Rates()
        search: HandSearch | ArmSearch
        if self._palms is None or s.proposal == "arm":
            search, rates = (
                ArmSearch(),
                replace(rates, pose_s=0.0, idle_pose_s=0.0),
            )  # hands are where this frame's arms end
        else:
            search = HandSearch(self._palms, s.proposal, 2 * s.people)
        follows = self._classifier.manifest.output.landmarks is not None
        plan = WorkPlan(self.labels, rates)
        finder = HandFinder(search, 2 * s.people, s.min_hand, plan, has_landmarks=follows)
        return _CameraTracking(bodies, finder, plan, [])


def _row(batch: Callable[[], list[Readout]], row: int) -> Readout:
    return batch()[row]


def _kept(candidate: Candidate) -> Readout:
    assert candidate.kept is not None  # noqa: S101 (all others are classified)
    return candidate.kept


def _last_image_result(candidate: Candidate) -> ImageResult | None:
    """The image classifier's last result for a tracked hand."""
    track = candidate.followed
    return track.readout.image_result if track and track.readout else None


def _with_posture(
    hands: Sequence[HandDetection], people: Sequence[Person], image: Pixels
) -> list[HandDetection]:
    """The hands with their postures, relative to their body and to all other hands."""
    poses = {person.id: person.pose for person in people}
    frame = image.shape[1], image.shape[0]
    arms = {number: sure_hands(pose) for number, pose in poses.items()}
    held = []
    for hand in hands:
        others = [other.landmarks for other in hands if other is not hand and other.landmarks is not None]
        others += [points for number, found in arms.items() if number != hand.person for points in found]
        posture = posture_of(poses.get(hand.person), hand.box, hand.landmarks, others, frame)
        held.append(replace(hand, posture=posture))
    return held


def _crop_score(candidate: Candidate, readout: Readout, given: Box) -> float:
    apart = np.hypot(candidate.box.cx - given.cx, candidate.box.cy - given.cy) / given.side
    return (candidate.score if readout.presence is None else readout.presence) - float(apart)
