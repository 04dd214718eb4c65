"""Hand tracker: turns each frame's detections into one observation for every tracked hand.

Hands are matched by position; person number and side are a strong hint only. A frame that swaps left and
right, or renumbers a person, must neither end a gesture nor start it twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.core.hand_identity.assignment import PersonHand
from agent.core.types import (
    UNKNOWN,
    Detections,
    Floats,
    HandDetection,
    HandObservation,
    HandPosture,
    Place,
)

FORGET_S = 2.0  # an unseen hand's track is dropped after this time
TAKEOVER_S = 0.5  # an unseen hand's track is not matched to another person or side after this time
REACH = 1.5  # maximum distance, in hand heights, at which a hand of another person or side matches a track
RENAMED = 1.0  # cost of a change of person or side, in hand heights
VOTE_S = 1.0  # a track's person and side are a majority vote over about this time


@dataclass(slots=True, eq=False)
class _HandTrack:
    number: int
    person_hand: PersonHand
    place: Place
    seen_at: float
    votes: dict[PersonHand, float] = field(default_factory=dict)
    posture: HandPosture = UNKNOWN

    def update(self, hand: HandDetection, place: Place, at: float) -> None:
        seen_as = hand.person, hand.hand
        fade = math.exp(-max(0.0, at - self.seen_at) / VOTE_S)
        self.votes = {name: vote * fade for name, vote in self.votes.items() if vote * fade > 0.01}
        self.votes[seen_as] = self.votes.get(seen_as, 0.0) + (1 - fade if self.votes else 1.0)
        self.person_hand = max(self.votes, key=self.votes.__getitem__)
        self.place, self.seen_at, self.posture = place, at, hand.posture

    def observation(self, camera: str, at: float, scores: Floats | None) -> HandObservation:
        person, hand = self.person_hand
        place = self.place if scores is not None else None
        return HandObservation(at, camera, person, hand, scores, place, self.number, self.posture)


class HandTracker:
    """Tracks the hands of every camera from frame to frame."""

    def __init__(self, forget_s: float = FORGET_S) -> None:
        """`forget_s` must be longer than any release, or a lost hand's gesture would not end."""
        self.forget_s = forget_s
        self._tracks: dict[str, list[_HandTrack]] = {}
        self._number = 0

    def update(self, detections: Detections) -> list[HandObservation]:
        """Return one observation for every tracked hand; `scores` is None for those not in this frame.

        A dropped track gives one last empty observation, however long ago the previous frame was.
        """
        tracks, gone = self._followed(detections.camera, detections.at)
        places = [_place(hand, detections) for hand in detections.hands]
        seen: dict[int, HandDetection] = {}
        for track, index in self._matches(tracks, detections, places):
            hand = detections.hands[index]
            track.update(hand, places[index], detections.at)
            seen[track.number] = hand
        return [
            track.observation(
                detections.camera, detections.at, seen[track.number].scores if track.number in seen else None
            )
            for track in (*gone, *tracks)
        ]

    def silence(self, camera: str, at: float) -> list[HandObservation]:
        """Return empty observations for a camera that gave no frame for a while."""
        tracks, gone = self._followed(camera, at)
        return [track.observation(camera, at, None) for track in (*gone, *tracks)]

    def _followed(self, camera: str, at: float) -> tuple[list[_HandTrack], list[_HandTrack]]:
        """Tracks that are kept, and tracks that are dropped now."""
        tracks = self._tracks.get(camera, [])
        living = [track for track in tracks if abs(at - track.seen_at) <= self.forget_s]
        self._tracks[camera] = living
        return living, [track for track in tracks if track not in living]

    def _matches(
        self, tracks: list[_HandTrack], detections: Detections, places: list[Place]
    ) -> Iterator[tuple[_HandTrack, int]]:
        """Pairs of track and detection, lowest cost first; an unmatched detection gets a new track."""
        pairs = sorted(
            (cost, i, j)
            for i, track in enumerate(tracks)
            for j, hand in enumerate(detections.hands)
            if (cost := _cost(track, hand, places[j], detections.at)) is not None
        )
        taken: set[int] = set()
        matched: set[int] = set()
        for _, i, j in pairs:
            if i not in taken and j not in matched:
                taken.add(i)
                matched.add(j)
                yield tracks[i], j
        for j, hand in enumerate(detections.hands):
            if j not in matched:
                self._number += 1
                tracks.append(_HandTrack(self._number, (hand.person, hand.hand), places[j], detections.at))
                yield tracks[-1], j


def _place(hand: HandDetection, detections: Detections) -> Place:
    return Place(
        x_share=hand.box.cx / detections.width,
        y_share=hand.box.cy / detections.height,
        height_share=hand.box.side / detections.height,
        aspect=detections.width / detections.height,
    )


def _cost(track: _HandTrack, hand: HandDetection, place: Place, at: float) -> float | None:
    """Distance in hand heights plus the cost of a change of person or side; None: cannot be the same hand."""
    distance = hands_apart(track.place, place)
    if (hand.person, hand.hand) == track.person_hand:
        return distance
    if distance > REACH or at - track.seen_at > TAKEOVER_S:
        return None
    return distance + RENAMED


def hands_apart(a: Place, b: Place) -> float:
    """Return the distance of two places in heights of the larger hand, independent of camera distance."""
    height = max(a.height_share, b.height_share, 1e-6)
    return math.hypot((a.x_share - b.x_share) * a.aspect, a.y_share - b.y_share) / height
