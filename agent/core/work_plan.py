"""Which work a frame is worth: the one place that decides what is looked at, by which networks, how often.

Networks cost nearly all of a frame, and most frames say what the one before said. What may be left out, and
why it changes nothing that matters:

    bodies           every `pose_s` while they are followed; at once when an arm that has no hand yet moves
    nobody there     searched for every `search_s`, every 2 `pose_s` while hands are followed without a body
    a followed hand  every `calm_s` while it keeps still and is sure; in between its last reading stands
    image classifier not while the landmark classifier says "no gesture"; while that has long said the same,
                     every `recheck_s`, and its last word stands in between

Everything that moves, changes or forms gets every frame. Pure and deterministic: time comes from the
frames' stamps, so a clip replayed gives the same plan. It knows no network and no runtime.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agent.core.geometry import seen_joint
from agent.core.tracking import distance
from agent.core.types import HANDS, NO_GESTURE, Box, Floats, Hand, Pose

Reason: TypeAlias = Literal["new", "moves", "changes", "due", "calm", "random", "settled", "nobody"]
"""Why a piece of work is done (`new`, `moves`, `changes`, `due`) or left out (`calm`, `random`, `settled`,
..)."""

EPSILON_S = 1e-3  # stamps of a camera tremble, and 0.1 + 0.2 is not 0.3


@dataclass(frozen=True, slots=True)
class Rates:
    """How often, in seconds between two runs, and what counts as still or sure. Zero seconds: every frame."""

    pose_s: float = 0.15  # facing, height and names of hands change slowly: 5 a second at 15 frames/s
    search_s: float = 0.12  # whoever comes in takes longer than that to raise a hand
    calm_s: float = 0.1  # a settled hand: at most one frame of 15 a second is missed when it changes
    recheck_s: float = 0.5
    still: float = 0.5  # sides of its box a second: a hand that moves more is read in every frame
    arm_moves: float = 0.5  # widths of the shoulders a second: so fast a wrist is on its way
    sure: float = 0.8  # probability of a gesture that is not watched closely any more
    sure_random: float = 0.95  # probability of no gesture by the landmarks alone
    settled_s: float = 0.6  # as long must the landmarks say the same: longer than any hold by default


Profile: TypeAlias = Literal["light", "balanced", "accurate"]

EVERY_FRAME = Rates(pose_s=0, search_s=0, calm_s=0, recheck_s=0, sure_random=math.inf, settled_s=math.inf)
"""Nothing is left out: for photographs, and to compare with."""

RATES_OF: dict[Profile, Rates] = {
    "light": Rates(pose_s=0.25, search_s=0.25, calm_s=0.15, recheck_s=1.0, still=1.0, sure=0.7),
    "balanced": Rates(),
    "accurate": EVERY_FRAME,
}
"""What the setting `recognition.profile` stands for here; which classifier it takes is in the settings."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to do a piece of work, and why."""

    do: bool
    why: Reason


@dataclass(frozen=True, slots=True, eq=False)
class ImageWord:
    """What the image classifier said of a hand at `at`.

    The landmark classifier says `label`, and has since `since`.
    """

    scores: Floats
    at: float
    label: int
    since: float


@dataclass(frozen=True, slots=True, eq=False)
class HandMemory:
    """What is remembered of a followed hand from one reading to the next.

    `label` is what the classifier says, `since` when it began to; `sure` whether it is; `speed` is in sides
    of the box a second, growth included.
    """

    read_at: float
    label: int
    since: float
    sure: bool
    speed: float = math.inf


class WorkPlan:
    """Decides for one camera. `labels` are those of the classifier."""

    def __init__(self, labels: Sequence[str], rates: Rates | None = None) -> None:
        self.rates = rates or Rates()
        self._none = list(labels).index(NO_GESTURE) if NO_GESTURE in labels else None
        self._posed_at = -math.inf
        self._wrists: dict[tuple[int, Hand], tuple[float, float]] = {}
        self._moving: set[tuple[int, Hand]] = set()  # arms on their way, as of the last poses
        self._people = 0

    def poses(self, at: float, followed: frozenset[tuple[int, Hand]]) -> Decision:
        """Whether to look for bodies in the frame at `at`; `followed` are the hands that are."""
        passed = at - self._posed_at
        if not 0 <= passed < math.inf:
            return Decision(True, "new")
        if not self._people:
            every_s = max(self.rates.search_s, 2 * self.rates.pose_s) if followed else self.rates.search_s
            late = _due(passed, every_s)  # hands that are followed without a body are no news
            return Decision(late, "due" if late else "nobody")
        if self._moving - followed:
            return Decision(True, "moves")
        late = _due(passed, self.rates.pose_s)
        return Decision(late, "due" if late else "calm")

    def saw_poses(self, at: float, people: Sequence[tuple[int, Pose]]) -> None:
        """The bodies, each with its number, that the frame at `at` showed."""
        passed, self._posed_at, self._people = at - self._posed_at, at, len(people)
        before, self._wrists = self._wrists, {}
        self._moving = set()
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
                    or math.dist(was, wrist) > self.rates.arm_moves * width * passed
                ):
                    self._moving.add((number, hand))

    def hand(self, memory: HandMemory, at: float) -> Decision:
        """Whether to read a followed hand; where not, its last reading stands."""
        passed = at - memory.read_at
        if _due(passed, self.rates.calm_s) or passed < 0:
            return Decision(True, "due")
        if memory.speed > self.rates.still:
            return Decision(True, "moves")
        random = memory.label == self._none
        if memory.sure and (random or at - memory.since >= self.rates.settled_s):
            return Decision(False, "calm")
        return Decision(True, "changes")

    def remember(
        self, memory: HandMemory | None, box: Box, before: Box | None, scores: Floats, at: float
    ) -> HandMemory:
        """What is known of a hand that was read at `at`: it is in `box`, was in `before`."""
        label = int(scores.argmax())
        sure = float(scores[label]) >= (self.rates.sure_random if label == self._none else self.rates.sure)
        if memory is None or before is None or at <= memory.read_at:
            return HandMemory(at, label, at, sure)
        since = memory.since if memory.label == label else at
        return HandMemory(at, label, since, sure, distance(box, before) / (at - memory.read_at))


class ImagePlan:
    """Decides for each hand whether the image classifier is asked. `labels` are the landmark classifier's."""

    def __init__(self, labels: Sequence[str], rates: Rates | None = None) -> None:
        self._rates = rates or Rates()
        self._none = list(labels).index(NO_GESTURE) if NO_GESTURE in labels else None

    def asks(self, word: ImageWord | None, scores: Floats, at: float) -> Decision:
        """For a hand that the landmark classifier gives `scores`; `word` is what was said of it last."""
        if _is_random(scores, self._none, self._rates):
            return Decision(False, "random")
        if word is None:
            return Decision(True, "new")
        if word.label != int(scores.argmax()) or at - word.since < self._rates.settled_s:
            return Decision(True, "changes")
        late = _due(at - word.at, self._rates.recheck_s) or at < word.at
        return Decision(late, "due" if late else "settled")

    def heard(self, word: ImageWord | None, scores: Floats, said: Floats, at: float) -> ImageWord:
        """The image classifier said `said`, where the landmark classifier says `scores`."""
        label = int(scores.argmax())
        since = word.since if word is not None and word.label == label and word.at <= at else at
        return ImageWord(said, at, label, since)


def _due(passed: float, every_s: float) -> bool:
    return passed >= every_s - EPSILON_S


def _is_random(scores: Floats, none: int | None, rates: Rates) -> bool:
    return none is not None and float(scores[none]) >= rates.sure_random


def _shoulders(pose: Pose) -> float:
    """Their width in pixels; 0 where they are not seen."""
    left, right = seen_joint(pose, "left_shoulder"), seen_joint(pose, "right_shoulder")
    return math.dist(left, right) if left and right else 0.0
