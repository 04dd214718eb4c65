"""Hand finder: detects and tracks the hands of one camera from frame to frame.

A tracked hand is located by its landmarks, precisely and at no extra cost. Other hands are searched for at
intervals. `propose` returns candidates, `confirm` keeps those that the classifier accepts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from agent.core.geometry import box_around, box_of_landmarks
from agent.core.tracking import distance
from agent.core.types import HANDS, Box, Hand, HandDetection, Image
from agent.core.work_plan import WorkPlan
from agent.inference.bodies.person import Person
from agent.inference.gestures.classifier import Readout
from agent.inference.hands.arms import ArmSearch
from agent.inference.hands.candidates import (
    NEAR,
    SAME_HAND,
    Arm,
    Candidate,
    TrackedHand,
    arm_of,
    arms_of,
    inside,
)
from agent.inference.hands.search import TRIES, HandSearch
from agent.inference.stopwatch import Stopwatch

ARM_SAYS = 1.7  # log-odds (85 %) of left and right from the body pose, which often errs at short range
READER_SAYS = 2.9  # largest log-odds (95 %) of left and right from one classification of the hand
SIDE_FADE_S = 0.5  # time constant of earlier frames' evidence on left and right
FORGET_S = 1.0  # a hand without a body keeps its identity if it is back within this time
AROUND = 1.1  # displayed box / tightest square around the landmarks
BOX_TO_HAND = 0.7  # displayed box / hand box, without landmarks: an open hand fills this much of its box


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
        self._lost: list[TrackedHand] = []
        self._bodiless = 0

    def propose(self, image: Image, at: float, people: Sequence[Person], watch: Stopwatch) -> list[Candidate]:
        """Return the candidates to classify in the frame at `at` seconds, tracked hands first."""
        arms = arms_of(people, image)
        with watch.stage("palm"):
            found = self._followed(arms, at)
            if not self._has_landmarks:
                found = self._search.again(image, at, arms, found)
            found += self._search.more(image, at, arms, found, body=bool(people))
        return found[: self._hands]

    def propose_for_still(self, image: Image, people: Sequence[Person]) -> Iterator[list[Candidate]]:
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
        before, self._tracks = self._tracks, []
        seen: list[HandDetection] = []
        there = [
            (candidate, readout, _next_box(candidate, readout))
            for candidate, readout in zip(candidates, readouts, strict=True)
            if _presence(candidate, readout) >= self._min_hand
        ]
        there.sort(key=lambda hand: (not hand[0].followed, -_presence(hand[0], hand[1])))
        for candidate, readout, box in there:
            twice = any(distance(box, track.box) < SAME_HAND for track in self._tracks)
            phantom = any(inside(box, other) for _, _, other in there)
            if twice or phantom or readout.scores is None or len(seen) == self._hands:
                continue
            track = candidate.followed
            if candidate.kept is not None and track:
                right, memory = track.right, track.memory
            else:
                right = _right(candidate, readout, at)
                memory = track.memory if track else None
                was = track.box if track else None
                memory = self._plan.remember(memory, box, was, readout.scores, at)
            person, hand = self._name(candidate, right)
            self._tracks.append(TrackedHand(person, hand, box, at, right, readout, memory))
            own = hand_box(candidate, readout)
            seen.append(HandDetection(person, hand, own, readout.scores, readout.points, readout.embedding))
        self._remember(at, before)
        return seen

    @property
    def followed(self) -> frozenset[tuple[int, Hand]]:
        """Person and side of the hands that are tracked now."""
        return frozenset((track.person, track.hand) for track in self._tracks)

    def _followed(self, arms: Sequence[Arm], at: float) -> list[Candidate]:
        """Candidates of the hands of the last frame, assigned to bodies; none on hanging arms."""
        found = []
        for track in self._tracks:
            arm = arm_of(track.box, arms)
            if arm is None:
                found.append(Candidate(track.box, 1.0, track.person, None, track, self._kept(track, at)))
            elif not arm.hangs:
                kept = self._kept(track, at)
                found.append(Candidate(track.box, 1.0, arm.person, arm.hand, track, kept))
        return found

    def _kept(self, track: TrackedHand, at: float) -> Readout | None:
        """The last readout, where the work plan reuses it."""
        if track.memory is None or track.readout is None or not self._has_landmarks:
            return None
        return None if self._plan.hand(track.memory, at).do else track.readout

    def _name(self, candidate: Candidate, right: float) -> tuple[int, Hand]:
        """Person and side of a hand; without a body those of its track, else a new person's."""
        taken = {(t.person, t.hand) for t in self._tracks}
        hand, other = HANDS if right < 0 else HANDS[::-1]
        people = [candidate.person] if candidate.person is not None else []
        people += [t.person for t in self._lost if distance(t.box, candidate.box) < NEAR]
        people += [t.person for t in self._tracks if t.person < 0]  # two hands without a body: one person
        for side in (hand, other):
            for person in people:
                if (person, side) not in taken:
                    return person, side
        self._bodiless += 1
        return -self._bodiless, hand

    def _remember(self, at: float, before: Sequence[TrackedHand]) -> None:
        now = {(t.person, t.hand) for t in self._tracks}
        for track in before:
            if (track.person, track.hand) not in now:
                self._lost.append(track)
                self._search.search_now(track.person, track.hand)
        self._lost = [t for t in self._lost if at - t.at < FORGET_S and (t.person, t.hand) not in now]


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


def _right(candidate: Candidate, readout: Readout, at: float) -> float:
    """Log-odds of a right hand, from earlier frames, the body pose and the classification."""
    odds = 0.0
    if candidate.followed:
        odds = candidate.followed.right * math.exp((candidate.followed.at - at) / SIDE_FADE_S)
    if candidate.arm:
        odds += ARM_SAYS if candidate.arm == "right" else -ARM_SAYS
    if readout.right is not None:
        said = math.log(max(readout.right, 1e-6) / max(1 - readout.right, 1e-6))
        odds += max(-READER_SAYS, min(READER_SAYS, said))
    return odds
