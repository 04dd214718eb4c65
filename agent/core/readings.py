"""From what one frame shows to one reading for every hand that is followed.

A hand is followed by where it is, with its person and side as a strong hint: a frame that calls the
same hand "left", or its person by another number, must neither end its gesture nor start it twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from agent.core.types import UNKNOWN, Bearing, Floats, Hand, Place, Reading, SeenHand, Sight

FORGET_S = 2.0  # a hand unseen for longer is another hand when it comes back
TAKEOVER_S = 0.5  # a hand unseen for longer is not continued under another name
REACH = 1.5  # hand heights between two frames within which another name can be the same hand
RENAMED = 1.0  # hand heights that a change of name costs against keeping the name
VOTE_S = 1.0  # a hand is called what it was mostly called in about the last second

Label: TypeAlias = tuple[int, Hand]  # person and side


@dataclass(slots=True, eq=False)
class _Track:
    number: int
    label: Label
    place: Place
    seen_at: float
    votes: dict[Label, float] = field(default_factory=dict)
    bearing: Bearing = UNKNOWN

    def see(self, hand: SeenHand, place: Place, at: float) -> None:
        label = hand.person, hand.hand
        fade = math.exp(-max(0.0, at - self.seen_at) / VOTE_S)
        self.votes = {name: vote * fade for name, vote in self.votes.items() if vote * fade > 0.01}
        self.votes[label] = self.votes.get(label, 0.0) + (1 - fade if self.votes else 1.0)
        self.label = max(self.votes, key=self.votes.__getitem__)
        self.place, self.seen_at, self.bearing = place, at, hand.bearing

    def reading(self, camera: str, at: float, scores: Floats | None) -> Reading:
        person, hand = self.label
        place = self.place if scores is not None else None
        return Reading(at, camera, person, hand, scores, place, self.number, self.bearing)


class Readings:
    """Follows the hands of every camera from frame to frame."""

    def __init__(self, forget_s: float = FORGET_S) -> None:
        """`forget_s` must be longer than any release, or a lost hand's gesture could not end."""
        self.forget_s = forget_s
        self._tracks: dict[str, list[_Track]] = {}
        self._number = 0

    def of(self, sight: Sight) -> list[Reading]:
        """One reading for every followed hand; those that this frame does not show have no scores.

        A hand that is forgotten gets a last empty reading, however long ago the frame before was.
        """
        tracks, gone = self._living(sight.camera, sight.at)
        places = [_place(hand, sight) for hand in sight.hands]
        seen: dict[int, SeenHand] = {}
        for track, index in self._matches(tracks, sight, places):
            hand = sight.hands[index]
            track.see(hand, places[index], sight.at)
            seen[track.number] = hand
        return [
            track.reading(sight.camera, sight.at, seen[track.number].scores if track.number in seen else None)
            for track in (*gone, *tracks)
        ]

    def silence(self, camera: str, at: float) -> list[Reading]:
        """Empty readings of a camera that gave no frame for a while."""
        tracks, gone = self._living(camera, at)
        return [track.reading(camera, at, None) for track in (*gone, *tracks)]

    def _living(self, camera: str, at: float) -> tuple[list[_Track], list[_Track]]:
        """The tracks that go on, and those that are forgotten now."""
        tracks = self._tracks.get(camera, [])
        living = [track for track in tracks if abs(at - track.seen_at) <= self.forget_s]
        self._tracks[camera] = living
        return living, [track for track in tracks if track not in living]

    def _matches(
        self, tracks: list[_Track], sight: Sight, places: list[Place]
    ) -> Iterator[tuple[_Track, int]]:
        """Each seen hand with its track, cheapest pairs first; a hand without one gets a new track."""
        pairs = sorted(
            (cost, i, j)
            for i, track in enumerate(tracks)
            for j, hand in enumerate(sight.hands)
            if (cost := _cost(track, hand, places[j], sight.at)) is not None
        )
        taken: set[int] = set()
        matched: set[int] = set()
        for _, i, j in pairs:
            if i not in taken and j not in matched:
                taken.add(i)
                matched.add(j)
                yield tracks[i], j
        for j, hand in enumerate(sight.hands):
            if j not in matched:
                self._number += 1
                tracks.append(_Track(self._number, (hand.person, hand.hand), places[j], sight.at))
                yield tracks[-1], j


def _place(hand: SeenHand, sight: Sight) -> Place:
    return Place(
        x_share=hand.box.cx / sight.width,
        y_share=hand.box.cy / sight.height,
        height_share=hand.box.side / sight.height,
        aspect=sight.width / sight.height,
    )


def _cost(track: _Track, hand: SeenHand, place: Place, at: float) -> float | None:
    """Hand heights between a track and a seen hand, plus a price for a new name; None: not the same hand."""
    distance = hands_apart(track.place, place)
    if (hand.person, hand.hand) == track.label:
        return distance
    if distance > REACH or at - track.seen_at > TAKEOVER_S:
        return None
    return distance + RENAMED


def hands_apart(a: Place, b: Place) -> float:
    """Distance of two places in heights of the larger hand, so that it means the same near and far."""
    height = max(a.height_share, b.height_share, 1e-6)
    return math.hypot((a.x_share - b.x_share) * a.aspect, a.y_share - b.y_share) / height
