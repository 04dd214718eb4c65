"""Detection of swipes and waves from the path of a hand while a gesture is held.

Directions are those of the person, who faces the camera: their right is left in the image. (Capture has
already flipped mirrored images.) Distances are in hand heights, so that they do not depend on camera
distance.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from agent.core.rules.rule_set import Move
from agent.core.types import Place

SWIPE_S = 0.6  # longest duration of a swipe
SWIPE = 2.0  # shortest length of a swipe, hand heights: about 35 cm
STRAIGHT = 1.5  # smallest ratio of a swipe's length along its axis to that across it
PAUSE_S = 0.7  # moves are ignored for this time after a swipe, while the hand returns
WAVE_S = 2.0  # longest duration of a wave
WAVE = 0.7  # shortest stroke of a wave, hand heights
WAVE_STROKES = 3  # there, back and there again


class HandPath:
    """Recent path of one hand, and the moves found in it."""

    def __init__(self) -> None:
        self._path: deque[tuple[float, float, float]] = deque()  # at, x, y in hand heights; x right, y up
        self._height: float | None = None
        self._quiet_until = 0.0

    def add(self, at: float, place: Place) -> tuple[Move, ...]:
        """Add a place and return the moves that it completes. The unit is the first hand height seen."""
        self._height = self._height or max(place.height_share, 1e-3)
        x = -place.x_share * place.aspect / self._height
        self._path.append((at, x, -place.y_share / self._height))
        while at - self._path[0][0] > WAVE_S:
            self._path.popleft()
        if at < self._quiet_until:
            return ()
        moves: list[Move] = []
        if strokes(x for _, x, _ in self._path) >= WAVE_STROKES:
            moves.append("wave")
        if swipe := self._swipe(at):
            moves.append(swipe)
            self._quiet_until = at + PAUSE_S
        if "wave" in moves:
            self._path.clear()
        return tuple(moves)

    def _swipe(self, at: float) -> Move | None:
        _, x, y = self._path[-1]
        for then, x0, y0 in self._path:
            if at - then > SWIPE_S or then < self._quiet_until:
                continue
            right, up = x - x0, y - y0
            if abs(right) >= SWIPE and abs(right) >= STRAIGHT * abs(up):
                return "right" if right > 0 else "left"
            if abs(up) >= SWIPE and abs(up) >= STRAIGHT * abs(right):
                return "up" if up > 0 else "down"
        return None


def strokes(xs: Iterable[float]) -> int:
    """Count the alternating strokes of at least `WAVE` hand heights in a path."""
    count, way = 0, 0
    low = high = None
    for x in xs:
        low = x if low is None else min(low, x)
        high = x if high is None else max(high, x)
        if way <= 0 and x - low >= WAVE:
            count, way, low, high = count + 1, 1, x, x
        elif way >= 0 and high - x >= WAVE:
            count, way, low, high = count + 1, -1, x, x
    return count
