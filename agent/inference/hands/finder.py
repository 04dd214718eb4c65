"""The hands of one camera, from frame to frame.

A hand that was seen is followed by its landmarks, which is exact and costs nothing more. A hand that was not
is searched for, now and then. The classifier has the last word: `propose` gives places, `confirm` takes what
was read there.
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

ARM_SAYS = 1.7  # log-odds (85 %) of a body's word on left and right: close to the camera it often errs
READER_SAYS = 2.9  # the most (95 %) that one reading of the hand itself counts for the same question
SIDE_FADE_S = 0.5  # time constant of what earlier frames said
FORGET_S = 1.0  # a hand with no body is the same again if back within this time
AROUND = 1.1  # the box shown to people / the tightest square around the landmarks
BOX_TO_HAND = 0.7  # the same, where there are no landmarks: an open hand fills this much of its hand box


class HandFinder:
    """Proposes, settles, and remembers. `has_landmarks`: the classifier gives them."""

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
        """Where to read, followed hands first."""
        arms = arms_of(people, image)
        with watch.stage("palm"):
            found = self._followed(arms, at)
            if not self._has_landmarks:
                found = self._search.again(image, at, arms, found)
            found += self._search.more(image, at, arms, found, body=bool(people))
        return found[: self._hands]

    def propose_for_still(self, image: Image, people: Sequence[Person]) -> Iterator[list[Candidate]]:
        """Where to read in a photograph: one list after the other, until hands are seen.

        First where arms end, in every way there is, and in the picture at large; then everywhere.
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
        """The hands that are really there, one each; remembers them for the next frame."""
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
        """Person and side of the hands that are followed now."""
        return frozenset((track.person, track.hand) for track in self._tracks)

    def _followed(self, arms: Sequence[Arm], at: float) -> list[Candidate]:
        """Hands of the last frame, named by the body they belong to; not those on an arm that hangs."""
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
        """The last reading, where the plan says that it stands."""
        if track.memory is None or track.readout is None or not self._has_landmarks:
            return None
        return None if self._plan.hand(track.memory, at).do else track.readout

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

    def _remember(self, at: float, before: Sequence[TrackedHand]) -> None:
        now = {(t.person, t.hand) for t in self._tracks}
        for track in before:
            if (track.person, track.hand) not in now:
                self._lost.append(track)
                self._search.search_now(track.person, track.hand)
        self._lost = [t for t in self._lost if at - t.at < FORGET_S and (t.person, t.hand) not in now]


def hand_box(candidate: Candidate, readout: Readout) -> Box:
    """The hand itself, upright: for people and rules, not for cutting."""
    if readout.landmarks is None:
        return candidate.box.upright().scaled(BOX_TO_HAND)
    return box_around(readout.landmarks[:, :2]).scaled(AROUND)


def _next_box(candidate: Candidate, readout: Readout) -> Box:
    """Where the hand will be looked for next time."""
    return candidate.box if readout.landmarks is None else box_of_landmarks(readout.landmarks)


def _presence(candidate: Candidate, readout: Readout) -> float:
    return candidate.score if readout.presence is None else readout.presence


def _right(candidate: Candidate, readout: Readout, at: float) -> float:
    """Log-odds that it is a right hand: what earlier frames, the body and the reading of the hand say."""
    odds = 0.0
    if candidate.followed:
        odds = candidate.followed.right * math.exp((candidate.followed.at - at) / SIDE_FADE_S)
    if candidate.arm:
        odds += ARM_SAYS if candidate.arm == "right" else -ARM_SAYS
    if readout.right is not None:
        said = math.log(max(readout.right, 1e-6) / max(1 - readout.right, 1e-6))
        odds += max(-READER_SAYS, min(READER_SAYS, said))
    return odds
