"""Where the hands of one camera are.

A hand that was seen is followed by its landmarks, which is exact and costs nothing more. A hand that was not
is searched for, now and then: in a square around the wrist that the body shows (`pose`, `both`), or in the
whole picture where no body helps (`palm`, `both`). The classifier has the last word: `propose` gives places,
`settle` takes what was read there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agent.core.geometry import arm_hangs, box_around, box_of_arm, box_of_landmarks, share_in_frame
from agent.core.tracking import distance
from agent.core.types import HANDS, Box, Hand, Image, SeenHand
from agent.inference.blazepose import Person
from agent.inference.crops import letterbox
from agent.inference.gestures import Readout
from agent.inference.palm import Palm, PalmFinder
from agent.inference.stopwatch import Stopwatch

Proposal = Literal["pose", "palm", "both"]

SEARCH_S = 0.2  # between two searches for the same unseen hand: a third of a core, not all of it
ARM_REGION = 1.5  # side of the square that is searched / rough box of the arm: the wrist is off by as much
SECOND_REGION = 2.2  # the second try, turned along the arm
AFAR = 1.6  # side of the square / whole picture: a hand that fills the picture is too large for the detector
PART = 0.6  # side of the parts / short side of the picture: palms down to 12 px of 480
TRACK_REGION = 1.6  # the same around a followed hand that has no landmarks
NEAR = 0.75  # distance under which a hand belongs to a wrist, in sides
SAME_HAND = 0.35  # distance under which two boxes hold one hand
IN_FRAME = 0.4  # share of a box that must lie in the picture for a hand to be seen in it
ARM_SAYS = 1.7  # log-odds (85 %) of a body's word on left and right: close to the camera it often errs
READER_SAYS = 2.9  # the most (95 %) that one reading of the hand itself counts for the same question
SIDE_FADE_S = 0.5  # time constant of what earlier frames said
FORGET_S = 1.0  # a hand with no body is the same again if back within this time
AROUND = 1.1  # the box shown to people / the tightest square around the landmarks
BOX_TO_HAND = 0.7  # the same, where there are no landmarks: an open hand fills this much of its hand box


@dataclass(frozen=True, slots=True)
class Track:
    """A hand as it was last seen; `box` is where to look next, `right` the log-odds of a right hand."""

    person: int
    hand: Hand
    box: Box
    at: float
    right: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place where a hand may be; `person` and `arm` say whose, where a body shows it."""

    box: Box
    score: float
    person: int | None = None
    arm: Hand | None = None
    followed: Track | None = None


@dataclass(frozen=True, slots=True)
class _Arm:
    """A body's hand: roughly where, and whether it can make a gesture."""

    person: int
    hand: Hand
    box: Box
    hangs: bool


class HandFinder:
    """The hands of one camera, from frame to frame. `hands` is the most it looks for."""

    def __init__(
        self,
        palms: PalmFinder | None,
        proposal: Proposal,
        hands: int,
        min_hand: float,
        *,
        has_landmarks: bool,
    ) -> None:
        self._palms, self._proposal, self._hands, self._min_hand = palms, proposal, hands, min_hand
        self._has_landmarks = has_landmarks
        self._tracks: list[Track] = []
        self._lost: list[Track] = []
        self._searched: dict[tuple[int, Hand], float] = {}
        self._looked_at = -math.inf
        self._bodiless = 0

    def propose(self, image: Image, at: float, people: Sequence[Person], watch: Stopwatch) -> list[Candidate]:
        """Where to read, followed hands first."""
        arms = _arms(people, image)
        with watch.stage("palm"):
            found = self._follow(image, arms)
            if self._proposal != "palm":
                found += self._search(image, at, arms, found)
            if self._proposal != "pose" and self._may_look(at, found, people):
                self._looked_at = at
                found += self._look(image, arms, found)
        return found[: self._hands]

    def propose_for_still(self, image: Image, people: Sequence[Person]) -> Iterator[list[Candidate]]:
        """Where to read in a photograph: one list after the other, until hands are seen.

        First where the bodies show them, with a second chance for wrists where no palm was found, and in
        the whole picture; then everywhere: from afar, sideways, and in parts of the picture for small hands.
        """
        arms = [arm for arm in _arms(people, image) if not arm.hangs] if self._proposal != "palm" else []
        found = self._search(image, 0.0, arms, [])
        missed = [arm for arm in arms if arm not in [_arm_of(c.box, arms) for c in found]]
        if self._palms:
            regions = [arm.box.scaled(SECOND_REGION) for arm in missed]
            for arm, palms in zip(missed, self._palms.find(image, regions), strict=True):
                best = _nearest(palms, arm.box)
                found.append(
                    Candidate(
                        best.box if best else arm.box, best.score if best else 0.0, arm.person, arm.hand
                    )
                )
        if self._proposal != "pose" and not found:
            found = self._look(image, arms, [])
        yield found
        if self._proposal != "pose" and self._palms:
            everywhere: list[Candidate] = []
            for palms in self._palms.find(image, parts_of(image)):
                everywhere += [Candidate(p.box, p.score) for p in palms if not _known(p.box, everywhere)]
            hanging = [arm for arm in _arms(people, image) if arm.hangs]
            yield [c for c in everywhere if _arm_of(c.box, hanging) is None]

    def settle(
        self, at: float, candidates: Sequence[Candidate], readouts: Sequence[Readout]
    ) -> list[SeenHand]:
        """The hands that are really there, one each; remembers them for the next frame."""
        before, self._tracks = self._tracks, []
        seen: list[SeenHand] = []
        ranked = sorted(
            zip(candidates, readouts, strict=True),
            key=lambda cr: (not cr[0].followed, -_presence(cr[0], cr[1])),
        )
        for candidate, readout in ranked:
            following = next_box(candidate, readout)
            alike = any(distance(following, track.box) < SAME_HAND for track in self._tracks)
            if _presence(candidate, readout) < self._min_hand or alike or readout.scores is None:
                continue
            if len(seen) == self._hands:
                break
            right = _right(candidate, readout, at)
            person, hand = self._name(candidate, right)
            self._tracks.append(Track(person, hand, following, at, right))
            seen.append(SeenHand(person, hand, hand_box(candidate, readout), readout.scores, readout.points))
        self._remember(at, before)
        return seen

    def _follow(self, image: Image, arms: Sequence[_Arm]) -> list[Candidate]:
        """Hands of the last frame, named by the body they belong to; not those on an arm that hangs."""
        named = []
        for track in self._tracks:
            arm = _arm_of(track.box, arms)
            if arm is None:
                named.append(Candidate(track.box, 1.0, track.person, None, track))
            elif not arm.hangs:
                named.append(Candidate(track.box, 1.0, arm.person, arm.hand, track))
        if self._has_landmarks or self._palms is None or not named:
            return named
        palms = self._palms.find(image, [c.box.upright().scaled(TRACK_REGION) for c in named])
        pairs = [(c, _nearest(found, c.box)) for c, found in zip(named, palms, strict=True)]
        return [replace(c, box=palm.box, score=palm.score) for c, palm in pairs if palm]

    def _search(
        self, image: Image, at: float, arms: Sequence[_Arm], found: Sequence[Candidate]
    ) -> list[Candidate]:
        """Hands of bodies that are not followed: each is searched for at most every `SEARCH_S`."""
        claimed = [_arm_of(c.box, arms) for c in found]
        wanted = [
            arm
            for arm in arms
            if not arm.hangs
            and arm not in claimed
            and at - self._searched.get((arm.person, arm.hand), -math.inf) >= SEARCH_S
        ]
        self._searched = {key: then for key, then in self._searched.items() if at - then < SEARCH_S}
        self._searched.update({(arm.person, arm.hand): at for arm in wanted})
        if self._palms is None:
            return [Candidate(arm.box, 1.0, arm.person, arm.hand) for arm in wanted]
        regions = [arm.box.upright().scaled(ARM_REGION) for arm in wanted]
        candidates: list[Candidate] = []
        for arm, palms in zip(wanted, self._palms.find(image, regions), strict=True):
            palm = _nearest(palms, arm.box)
            if palm and not _known(palm.box, [*found, *candidates]):
                candidates.append(Candidate(palm.box, palm.score, arm.person, arm.hand))
        return candidates

    def _may_look(self, at: float, found: Sequence[Candidate], people: Sequence[Person]) -> bool:
        """Whether the whole picture is worth a look: room for a hand, and no body that shows the way."""
        helped = self._proposal == "both" and people and found
        return self._palms is not None and not helped and len(found) < self._hands and (
            at - self._looked_at >= SEARCH_S
        )  # fmt: skip

    def _look(self, image: Image, arms: Sequence[_Arm], found: Sequence[Candidate]) -> list[Candidate]:
        assert self._palms is not None  # noqa: S101 (asked by `_may_look`)
        candidates: list[Candidate] = []
        for palm in self._palms.find(image)[0]:
            if _known(palm.box, [*found, *candidates]):
                continue
            arm = _arm_of(palm.box, arms)
            if arm is None:
                candidates.append(Candidate(palm.box, palm.score))
            elif not arm.hangs:
                candidates.append(Candidate(palm.box, palm.score, arm.person, arm.hand))
        return candidates

    def _name(self, candidate: Candidate, right: float) -> tuple[int, Hand]:
        """Person and side. With no body: as when last seen here, else a new person's."""
        taken = {(t.person, t.hand) for t in self._tracks}
        hand, other = HANDS if right < 0 else HANDS[::-1]
        people = [candidate.person] if candidate.person is not None else []
        people += [t.person for t in self._lost if distance(t.box, candidate.box) < NEAR]
        people += [t.person for t in self._tracks if t.person < 0]  # two hands, no body: one person's
        for side in (hand, other):
            for person in people:
                if (person, side) not in taken:
                    return person, side
        self._bodiless += 1
        return -self._bodiless, hand

    def _remember(self, at: float, before: Sequence[Track]) -> None:
        now = {(t.person, t.hand) for t in self._tracks}
        for track in before:
            if (track.person, track.hand) not in now:
                self._lost.append(track)
                self._searched.pop((track.person, track.hand), None)  # search at once
                self._looked_at = -math.inf
        self._lost = [t for t in self._lost if at - t.at < FORGET_S and (t.person, t.hand) not in now]


def parts_of(image: Image) -> list[Box]:
    """Squares to search when the whole picture shows no palm: from afar, turned both ways, and its parts."""
    whole = letterbox(image)
    height, width = image.shape[:2]
    side = PART * min(height, width)
    columns, rows = (math.ceil(1.5 * (n - side) / side) + 1 for n in (width, height))
    centres = (
        (
            side / 2 + (width - side) * x / max(columns - 1, 1),
            side / 2 + (height - side) * y / max(rows - 1, 1),
        )
        for y in range(rows)
        for x in range(columns)
    )
    afar = [
        whole.scaled(AFAR),
        *(replace(whole.scaled(AFAR), angle=turn) for turn in (-math.pi / 2, math.pi / 2)),
    ]
    return afar + [Box(x, y, side) for x, y in centres]


def next_box(candidate: Candidate, readout: Readout) -> Box:
    """Where the hand will be looked for next time."""
    return candidate.box if readout.landmarks is None else box_of_landmarks(readout.landmarks)


def hand_box(candidate: Candidate, readout: Readout) -> Box:
    """The hand itself, upright."""
    if readout.landmarks is None:
        return candidate.box.upright().scaled(BOX_TO_HAND)
    return box_around(readout.landmarks[:, :2]).scaled(AROUND)


def _presence(candidate: Candidate, readout: Readout) -> float:
    return candidate.score if readout.presence is None else readout.presence


def _right(candidate: Candidate, readout: Readout, at: float) -> float:
    """Log-odds that it is a right hand: what earlier frames, the body and the reading of the hand say."""
    sum_ = 0.0
    if candidate.followed:
        sum_ = candidate.followed.right * math.exp((candidate.followed.at - at) / SIDE_FADE_S)
    if candidate.arm:
        sum_ += ARM_SAYS if candidate.arm == "right" else -ARM_SAYS
    if readout.right is not None:
        odds = math.log(max(readout.right, 1e-6) / max(1 - readout.right, 1e-6))
        sum_ += max(-READER_SAYS, min(READER_SAYS, odds))
    return sum_


def _arms(people: Sequence[Person], image: Image) -> list[_Arm]:
    height, width = image.shape[:2]
    arms = []
    for person in people:
        for hand in HANDS:
            box = box_of_arm(person.pose, hand)
            if box and share_in_frame(box, width, height) >= IN_FRAME:
                arms.append(_Arm(person.id, hand, box, arm_hangs(person.pose, hand)))
    return arms


def _arm_of(box: Box, arms: Sequence[_Arm]) -> _Arm | None:
    """The arm that a hand belongs to: the nearest wrist, if near enough."""
    near = [(apart, arm) for arm in arms if (apart := _apart(box, arm.box)) < NEAR]
    return min(near, key=lambda pair: pair[0])[1] if near else None


def _apart(a: Box, b: Box) -> float:
    """Distance of centres in sides of the larger box."""
    return math.hypot(a.cx - b.cx, a.cy - b.cy) / max(a.side, b.side)


def _nearest(palms: Sequence[Palm], box: Box) -> Palm | None:
    """The palm nearest to the middle of a box."""
    return min(palms, key=lambda palm: _apart(palm.box, box), default=None)


def _known(box: Box, candidates: Sequence[Candidate]) -> bool:
    return any(distance(box, c.box) < SAME_HAND for c in candidates)
