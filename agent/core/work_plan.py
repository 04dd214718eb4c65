"""Work scheduling: decides which networks run on which frame.

Networks take nearly all of a frame's time, and most frames repeat the previous one. What is skipped:

    body pose        runs every `pose_s` while hands of tracked bodies are, every `idle_pose_s` while none is;
                     at once when an arm without a hand begins to move, for `arm_s`
    empty view       searched every `search_s`, or every `body_s` while hands without a body are tracked
    tracked hand     classified every `calm_s` while still and confident; its last result is reused meanwhile
    its palm         detected again only when a gesture that was confident falters, every `relocate_s` of that
    landmark         by the smaller network while a gesture is settled and no recheck is due
    image classifier skipped while the landmark classifier says "no gesture"; runs every `recheck_s` while
                     that has given one label for long (twice as often where the two contradict each other),
                     and its last result is reused meanwhile

Whatever moves, changes or is pending is processed in every frame. Pure and deterministic: time comes from the
frames' timestamps, so a replayed clip gives the same plan. Independent of networks and runtimes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agent.core.geometry import seen_joint
from agent.core.hand_identity import PersonHand
from agent.core.tracking import distance
from agent.core.types import HANDS, NO_GESTURE, Box, Floats, Pose

Reason: TypeAlias = Literal[
    "new", "moves", "changes", "due", "falters", "calm", "random", "settled", "nobody"
]
"""Reason why work is done (`new`, `moves`, `changes`, `due`, `falters`) or skipped (`calm`, `random`, ..)."""

EPSILON_S = 1e-3  # tolerance for the jitter of frame timestamps, and for 0.1 + 0.2


@dataclass(frozen=True, slots=True)
class Rates:
    """Intervals of each kind of work, in seconds (0: every frame), and limits for still and confident."""

    pose_s: float = 0.15  # posture and identity of hands change slowly: about 5 a second at 15 frames/s
    idle_pose_s: float = 0.25  # an arm takes half a second to rise: it is seen to move, then posed at once
    search_s: float = 0.12  # shorter than people need to enter and raise a hand
    body_s: float = 0.5  # hands without a body are a close-up, which rarely changes
    calm_s: float = 0.1  # a still hand: at most one frame of 15 a second is missed when it changes
    recheck_s: float = 1.0
    still: float = 0.5  # sides of its box a second: a hand that moves faster is classified in every frame
    arm_moves: float = 0.5  # shoulder widths a second: a wrist at this speed is being raised or lowered
    arm_s: float = (
        1.0  # an arm that has moved for longer is not being raised: it waves, or its wrist is guessed
    )
    jitter: float = 0.08  # shoulder widths: a resting wrist differs by this much from pose to pose
    sure: float = 0.8  # probability of a gesture that needs no check in every frame
    sure_random: float = 0.95  # probability of "no gesture" by the landmark classifier alone
    settled_s: float = 0.6  # time for which the landmark label must be constant: longer than any default hold
    relocate_s: float = 0.3  # shorter than any default release: a wrong crop must not end a gesture
    falter_s: float = 1.0  # a hand that was never confident, or long ago, does not falter


Profile: TypeAlias = Literal["light", "balanced", "accurate"]

EVERY_FRAME = Rates(
    pose_s=0, idle_pose_s=0, search_s=0, body_s=0, calm_s=0, recheck_s=0, sure_random=math.inf,
    settled_s=math.inf,
)  # fmt: skip
"""Skips nothing: for photographs, and as a reference in comparisons."""

RATES_OF: dict[Profile, Rates] = {
    "light": Rates(
        pose_s=0.25, idle_pose_s=0.33, search_s=0.25, calm_s=0.15, recheck_s=1.0, still=1.0, sure=0.7
    ),
    "balanced": Rates(),
    "accurate": EVERY_FRAME,
}
"""Rates of each `recognition.profile`; the profile's choice of classifier is made in the settings."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to do a piece of work, and the reason."""

    do: bool
    why: Reason


@dataclass(frozen=True, slots=True, eq=False)
class ImageResult:
    """Last result of the image classifier for one hand, at `at` seconds.

    `label` is the index that the landmark classifier gives, and has given since `since`; `landmark_scores`
    are its scores at `at`.
    """

    scores: Floats
    at: float
    label: int
    since: float
    landmark_scores: Floats


@dataclass(frozen=True, slots=True, eq=False)
class HandMemory:
    """State of a tracked hand between two classifications.

    `label` is the index of its best class, `since` when that began and `sure` whether it is confident;
    `speed` is in sides of its box a second, growth included. `gesture_at` is when it was last confident of a
    gesture, `relocated_at` when its palm was last detected again.
    """

    read_at: float
    label: int
    since: float
    sure: bool
    speed: float = math.inf
    gesture_at: float = -math.inf
    relocated_at: float = -math.inf


class WorkPlan:
    """Schedules body pose and hand classification for one camera. `labels` are those of the classifier."""

    def __init__(self, labels: Sequence[str], rates: Rates | None = None) -> None:
        self.rates = rates or Rates()
        self._none = list(labels).index(NO_GESTURE) if NO_GESTURE in labels else None
        self._posed_at = -math.inf
        self._wrists: dict[PersonHand, tuple[float, float]] = {}
        self._moving: set[PersonHand] = set()  # arms in motion, as of the last poses
        self._motions: dict[PersonHand, tuple[float, float]] = {}  # each arm's: when it began, was last seen
        self._people = 0

    def poses(self, at: float, followed: frozenset[PersonHand]) -> Decision:
        """Decide whether pose estimation runs on the frame at `at`; `followed` are the tracked hands."""
        passed = at - self._posed_at
        if not 0 <= passed < math.inf:
            return Decision(True, "new")
        if not self._people:
            late = _due(passed, self.rates.body_s if followed else self.rates.search_s)
            return Decision(late, "due" if late else "nobody")
        if any(at - self._motions[arm][0] < self.rates.arm_s for arm in self._moving - followed):
            return Decision(True, "moves")
        late = _due(passed, self.rates.pose_s if followed or self._moving else self.rates.idle_pose_s)
        return Decision(late, "due" if late else "calm")

    def record_poses(self, at: float, people: Sequence[tuple[int, Pose]]) -> None:
        """Record the poses found in the frame at `at`, each with its person number."""
        passed, self._posed_at, self._people = at - self._posed_at, at, len(people)
        before, self._wrists = self._wrists, {}
        self._moving = set()
        self._motions = {
            arm: seen for arm, seen in self._motions.items() if 0 <= at - seen[1] < self.rates.arm_s
        }
        for number, pose in people:
            width = _shoulders(pose)
            for hand in HANDS:
                wrist = seen_joint(pose, f"{hand}_wrist")
                if wrist is None or width <= 0:
                    continue
                self._wrists[number, hand] = wrist
                was = before.get((number, hand))
                if (
                    was is None
                    or passed <= 0
                    or math.dist(was, wrist) > max(self.rates.arm_moves * passed, self.rates.jitter) * width
                ):
                    self._moving.add((number, hand))
                    self._motions[number, hand] = self._motions.get((number, hand), (at, at))[0], at

    def hand(self, memory: HandMemory, at: float) -> Decision:
        """Decide whether a tracked hand is classified at `at`; if not, its last result is reused."""
        passed = at - memory.read_at
        if _due(passed, self.rates.calm_s) or passed < 0:
            return Decision(True, "due")
        if memory.speed > self.rates.still:
            return Decision(True, "moves")
        random = memory.label == self._none
        if memory.sure and (random or at - memory.since >= self.rates.settled_s):
            return Decision(False, "calm")
        return Decision(True, "changes")

    def relocate(self, memory: HandMemory, at: float) -> Decision:
        """Decide whether the palm of a tracked hand is detected again at `at`.

        Its crop comes from its own landmarks, so a wrong crop confirms itself: too large by half, and a clear
        gesture fades. A gesture that falters is therefore located anew before it is given up.
        """
        if memory.sure or not 0 <= at - memory.gesture_at <= self.rates.falter_s:
            return Decision(False, "calm")
        late = _due(at - memory.relocated_at, self.rates.relocate_s) or at < memory.relocated_at
        return Decision(late, "falters" if late else "settled")

    def remember(
        self, memory: HandMemory | None, box: Box, before: Box | None, scores: Floats, at: float
    ) -> HandMemory:
        """Return the state of a hand classified at `at`, now in `box`, previously in `before`."""
        label = int(scores.argmax())
        sure = float(scores[label]) >= (self.rates.sure_random if label == self._none else self.rates.sure)
        gesture_at = at if sure and label != self._none else -math.inf
        if memory is None or before is None or at <= memory.read_at:
            return HandMemory(at, label, at, sure, gesture_at=gesture_at)
        since = memory.since if memory.label == label else at
        speed = distance(box, before) / (at - memory.read_at)
        gesture_at = max(gesture_at, memory.gesture_at)
        return HandMemory(at, label, since, sure, speed, gesture_at, memory.relocated_at)


class ImagePlan:
    """Schedules the image classifier for each hand. `labels` are those of the landmark classifier."""

    def __init__(self, labels: Sequence[str], rates: Rates | None = None) -> None:
        self._rates = rates or Rates()
        self._none = list(labels).index(NO_GESTURE) if NO_GESTURE in labels else None

    def should_run(self, last: ImageResult | None, scores: Floats, at: float) -> Decision:
        """Decide whether to run the image classifier, given landmark `scores` and its last result `last`."""
        if _is_random(scores, self._none, self._rates):
            return Decision(False, "random")
        if last is None:
            return Decision(True, "new")
        if last.label != int(scores.argmax()) or at - last.since < self._rates.settled_s:
            return Decision(True, "changes")
        late = _due(at - last.at, self._recheck_s(last)) or at < last.at
        return Decision(late, "due" if late else "settled")

    def settled(self, last: ImageResult | None, at: float | None) -> bool:
        """Whether a hand has shown one gesture for so long that a smaller network may confirm it at `at`."""
        if last is None or at is None or at < last.at:
            return False
        return at - last.since >= self._rates.settled_s and not _due(at - last.at, self._recheck_s(last))

    def remember(self, last: ImageResult | None, scores: Floats, said: Floats, at: float) -> ImageResult:
        """Return the image classifier's new result `said`, with the label of the landmark `scores`."""
        label = int(scores.argmax())
        since = last.since if last is not None and last.label == label and last.at <= at else at
        return ImageResult(said, at, label, since, scores)

    def _recheck_s(self, last: ImageResult) -> float:
        """Interval until both are asked again: half as long where they contradict each other."""
        agree = int(last.scores.argmax()) == last.label
        return self._rates.recheck_s if agree else self._rates.recheck_s / 2


def _due(passed: float, every_s: float) -> bool:
    return passed >= every_s - EPSILON_S


def _is_random(scores: Floats, none: int | None, rates: Rates) -> bool:
    return none is not None and float(scores[none]) >= rates.sure_random


def _shoulders(pose: Pose) -> float:
    """Width of the shoulders in px; 0 where they are not seen."""
    left, right = seen_joint(pose, "left_shoulder"), seen_joint(pose, "right_shoulder")
    return math.dist(left, right) if left and right else 0.0
