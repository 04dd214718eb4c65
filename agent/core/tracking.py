"""Numbers that stay with what moves, from frame to frame. Pure: time comes with the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agent.core.geometry import matches
from agent.core.types import Box

REACH = 0.6  # how far a thing may move between two sights, in sides of its box
SIZE_WEIGHT = 0.5  # twice as large costs as much as a third of a side of distance


@dataclass(frozen=True, slots=True)
class TrackedBox:
    """Where a thing was last seen."""

    id: int
    box: Box
    at: float


class BoxTracker:
    """Matches boxes to those of the frames before by distance over size, the nearest pair first.

    What was not seen for `forget_s` seconds is forgotten; its number is never used again.
    """

    def __init__(self, forget_s: float, reach: float = REACH) -> None:
        self._forget_s, self._reach = forget_s, reach
        self._tracks: list[TrackedBox] = []
        self._next = 0

    def update(self, at: float, boxes: Sequence[Box]) -> list[int]:
        """The numbers of `boxes`, in their order; new things get new numbers."""
        alive = [track for track in self._tracks if at - track.at <= self._forget_s]
        pairs = matches([[distance(track.box, box) for box in boxes] for track in alive], self._reach)
        known = {column: alive[row].id for row, column in pairs}
        ids = [known[i] if i in known else self.new_id() for i in range(len(boxes))]
        unseen = [track for track in alive if track.id not in known.values()]
        self._tracks = unseen + [TrackedBox(i, box, at) for i, box in zip(ids, boxes, strict=True)]
        return ids

    def new_id(self) -> int:
        """A number that nothing else of this tracker has or will have."""
        self._next += 1
        return self._next - 1

    @property
    def ids(self) -> frozenset[int]:
        """All that are not forgotten, as of the last update."""
        return frozenset(track.id for track in self._tracks)


def distance(a: Box, b: Box) -> float:
    """How unlike two boxes are: distance of their centres in mean sides, plus unlike sizes."""
    if a.side <= 0 or b.side <= 0:
        return math.inf
    apart = math.hypot(a.cx - b.cx, a.cy - b.cy) / ((a.side + b.side) / 2)
    return apart + SIZE_WEIGHT * abs(math.log(a.side / b.side))
