"""Hand finder: detects and tracks the hands of one camera from frame to frame.

A tracked hand is located by its landmarks, precisely and at no extra cost. Other hands are searched for at
intervals. A frame takes four steps:

    followed   candidates of the hands of the last frame; needs no body, so they can be classified at once
    name       says whose hands these are, and drops those on hanging arms
    propose    adds candidates of other hands
    confirm    keeps what the classifier accepts, for the next frame
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from agent.core.geometry import box_around, box_of_landmarks
from agent.core.hand_identity import AssignedHand, HandAssigner, HandEvidence, PersonHand
from agent.core.tracking import distance
from agent.core.types import Box, Floats, HandDetection, Pixels
from agent.core.work_plan import HandMemory, WorkPlan
from agent.inference.bodies.person import Person
from agent.inference.gestures.classifier import Readout
from agent.inference.hands.arms import ArmSearch
from agent.inference.hands.candidates import (
    SAME_HAND,
    Arm,
    Candidate,
    TrackedHand,
    apart,
    arm_of,
    arms_of,
    inside,
)
from agent.inference.hands.search import TRIES, HandSearch

AROUND = 1.1  # displayed box / tightest square around the landmarks
BOX_TO_HAND = 0.7  # displayed box / hand box, without landmarks: an open hand fills this much of its box


@dataclass(frozen=True, slots=True, eq=False)
class _ConfirmedHand:
    """A candidate that the classifier confirmed; `next_box` is the region of the next frame's crop."""

    candidate: Candidate
    readout: Readout
    scores: Floats
    next_box: Box

    @property
    def tracked(self) -> TrackedHand | None:
        return self.candidate.followed

    def evidence(self) -> HandEvidence:
        return HandEvidence(
            box=self.candidate.box,
            next_box=self.next_box,
            person=self.candidate.person,
            arm=self.candidate.arm,
            before=self.tracked.hand if self.tracked else None,
            right=self.readout.right,
            reused=self.candidate.kept is not None,
        )

    def detection(self, assigned: AssignedHand) -> HandDetection:
        own, r = hand_box(self.candidate, self.readout), self.readout
        return HandDetection(assigned.person, assigned.hand, own, self.scores, r.points, r.embedding)


class HandFinder:
    """Proposes, confirms and tracks hands. `has_landmarks` is whether the classifier gives landmarks."""

    def __init__(
        self,
        search: HandSearch | ArmSearch,
        hands: int,
        min_hand: float,
        plan: WorkPlan,
        *,
        has_landmarks: bool,
    ) -> None:
        self._search, self._hands, self._min_hand, self._plan = search, hands, min_hand, plan
        self._has_landmarks = has_landmarks
        self._tracks: list[TrackedHand] = []
        self._assigner = HandAssigner()

    def followed(self, at: float) -> list[Candidate]:
        """Return candidates of the last frame's hands, as they were named then; none without landmarks."""
        return self._tracked(at) if self._has_landmarks else []

    def name(self, candidates: Sequence[Candidate], arms: Sequence[Arm]) -> list[Candidate | None]:
        """Return the candidates, each with the arm of a body where one is near; None on a hanging arm."""
        named: list[Candidate | None] = []
        for candidate in candidates:
            arm = arm_of(candidate.box, arms)
            if arm is None:
                named.append(candidate)
            else:
                named.append(None if arm.hangs else replace(candidate, person=arm.person, arm=arm.hand))
        return named

    def propose(
        self, image: Pixels, at: float, arms: Sequence[Arm], named: Sequence[Candidate], *, body: bool
    ) -> list[Candidate]:
        """Return the candidates of the frame at `at` seconds: those of `named`, in order, then others.

        `body` is whether a body is in view. Raises `EngineError`.
        """
        found = list(named)
        if not self._has_landmarks:
            tracked = [candidate for candidate in self.name(self._tracked(at), arms) if candidate]
            found = self._search.again(image, at, arms, tracked)
        found += self._search.more(image, at, arms, found, body=body)
        found = found[: self._hands]
        return found + self._relocated(image, at, arms, found)

    def propose_for_still(self, image: Pixels, people: Sequence[Person]) -> Iterator[list[Candidate]]:
        """Yield lists of candidates for a photograph, one after another, until hands are found.

        First at the ends of arms in every way, and in the whole image; then everywhere.
        """
        arms = arms_of(people, image)
        found: list[Candidate] = []
        for second in range(TRIES):
            found += self._search.at_arms(image, float(second), arms, found)
        yield found + self._search.at_large(image, arms, found)
        yield self._search.everywhere(image, arms)

    def confirm(
        self, at: float, candidates: Sequence[Candidate], readouts: Sequence[Readout]
    ) -> list[HandDetection]:
        """Return the hands that the classifier confirms, each once, and track them into the next frame."""
        found = self._confirmed(candidates, readouts)
        before = self._assigner.current
        assigned = self._assigner.assign(at, [hand.evidence() for hand in found])
        for person, side in before - self._assigner.current:
            self._search.search_now(person, side)
        self._tracks = [
            TrackedHand(who, hand.readout, self._memory(hand, at))
            for who, hand in zip(assigned, found, strict=True)
        ]
        return [hand.detection(who) for who, hand in zip(assigned, found, strict=True)]

    @property
    def tracked(self) -> frozenset[PersonHand]:
        """Person and side of the hands that are tracked now."""
        return self._assigner.current

    def _confirmed(
        self, candidates: Sequence[Candidate], readouts: Sequence[Readout]
    ) -> list[_ConfirmedHand]:
        """The candidates that are hands, each hand once, tracked ones first."""
        there = [
            (candidate, readout, _next_box(candidate, readout))
            for candidate, readout in zip(candidates, readouts, strict=True)
            if _presence(candidate, readout) >= self._min_hand
        ]
        there.sort(key=lambda hand: (not hand[0].followed, -_presence(hand[0], hand[1])))
        there = _each_track_once(there)
        found: list[_ConfirmedHand] = []
        for candidate, readout, box in there:
            twice = any(distance(box, other.next_box) < SAME_HAND for other in found)
            phantom = any(inside(box, other) for _, _, other in there)
            if twice or phantom or readout.scores is None or len(found) == self._hands:
                continue
            found.append(_ConfirmedHand(candidate, readout, readout.scores, box))
        return found

    def _memory(self, hand: _ConfirmedHand, at: float) -> HandMemory | None:
        """The work plan's memory of a hand, with this frame in it where the hand was classified."""
        before = hand.tracked.memory if hand.tracked else None
        if hand.candidate.kept is not None:
            return before
        was = hand.tracked.hand.box if hand.tracked else None
        return self._plan.remember(before, hand.next_box, was, hand.scores, at)

    def _tracked(self, at: float) -> list[Candidate]:
        return [
            Candidate(track.hand.box, 1.0, track.hand.person, None, track, self._kept(track, at))
            for track in self._tracks
        ]

    def _relocated(
        self, image: Pixels, at: float, arms: Sequence[Arm], found: list[Candidate]
    ) -> list[Candidate]:
        """Second candidates, at a freshly detected palm, for tracked hands whose gesture falters."""
        if not self._has_landmarks:
            return []  # such hands are detected anew in every frame
        faltering = []
        for i, candidate in enumerate(found):
            track = candidate.followed
            if track and track.memory and self._plan.relocate(track.memory, at).do:
                memory = replace(track.memory, relocated_at=at)
                found[i] = replace(candidate, followed=replace(track, memory=memory))
                faltering.append(found[i])
        if not faltering:
            return []
        located = self._search.again(image, at, arms, faltering)
        return [again for again in located if _same_hand(again, found)]

    def _kept(self, track: TrackedHand, at: float) -> Readout | None:
        """The last readout, where the work plan reuses it."""
        if track.memory is None or track.readout is None or not self._has_landmarks:
            return None
        return None if self._plan.hand(track.memory, at).do else track.readout


def _same_hand(again: Candidate, found: Sequence[Candidate]) -> bool:
    """Whether a hand that was located again is still itself, and not another one beside it."""
    track = again.followed
    others = [c.box for c in found if c.followed is not track]
    return (
        track is not None
        and apart(again.box, track.hand.box) < SAME_HAND
        and not any(distance(again.box, box) < SAME_HAND for box in others)
    )


def _each_track_once(there: list[tuple[Candidate, Readout, Box]]) -> list[tuple[Candidate, Readout, Box]]:
    """The hands, each tracked one by the first of its candidates."""
    taken: set[int] = set()
    once = []
    for hand in there:
        track = hand[0].followed
        if track is None or id(track) not in taken:
            once.append(hand)
        taken.add(id(track))
    return once


def hand_box(candidate: Candidate, readout: Readout) -> Box:
    """Return the upright box around the hand itself, for display and rules, in image px."""
    if readout.landmarks is None:
        return candidate.box.upright().scaled(BOX_TO_HAND)
    return box_around(readout.landmarks[:, :2]).scaled(AROUND)


def _next_box(candidate: Candidate, readout: Readout) -> Box:
    """The region of the next frame's crop."""
    return candidate.box if readout.landmarks is None else box_of_landmarks(readout.landmarks)


def _presence(candidate: Candidate, readout: Readout) -> float:
    return candidate.score if readout.presence is None else readout.presence
