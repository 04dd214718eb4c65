"""Tracking of boxes with stable ids from frame to frame. Pure: time comes with the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agent.core.geometry import matches
from agent.core.types import Box

REACH = 0.6  # longest distance between two observations of a track, in sides of its box
SIZE_WEIGHT = 0.5  # cost of a size change: twice as large costs as much as a third of a side of distance


@dataclass(frozen=True, slots=True)
class TrackedBox:
    """The last observed box of a track."""

    id: int
    box: Box
    at: float


class BoxTracker:
    """Matches boxes to tracks by distance relative to size, the nearest pair first.

    A track unseen for `forget_s` seconds is dropped; its id is never used again.
    """

    def __init__(self, forget_s: float, reach: float = REACH) -> None:
        self._forget_s, self._reach = forget_s, reach
        self._tracks: list[TrackedBox] = []
        self._next = 0

    def update(self, at: float, boxes: Sequence[Box]) -> list[int]:
        """Return the track ids of `boxes` at `at` seconds, in their order; unmatched boxes get new ids."""
        alive = [track for track in self._tracks if at - track.at <= self._forget_s]
        pairs = matches([[distance(track.box, box) for box in boxes] for track in alive], self._reach)
        known = {column: alive[row].id for row, column in pairs}
        ids = [known[i] if i in known else self.new_id() for i in range(len(boxes))]
        unseen = [track for track in alive if track.id not in known.values()]
        self._tracks = unseen + [TrackedBox(i, box, at) for i, box in zip(ids, boxes, strict=True)]
        return ids

    def new_id(self) -> int:
        """Return an id that no track of this tracker has or will have."""
        self._next += 1
        return self._next - 1

    @property
    def ids(self) -> frozenset[int]:
        """The ids of all current tracks, as of the last update."""
        return frozenset(track.id for track in self._tracks)


def distance(a: Box, b: Box) -> float:
    """Return the distance of two boxes: of their centres, in mean sides, plus the difference in size."""
    if a.side <= 0 or b.side <= 0:
        return math.inf
    apart = math.hypot(a.cx - b.cx, a.cy - b.cy) / ((a.side + b.side) / 2)
    return apart + SIZE_WEIGHT * abs(math.log(a.side / b.side))
