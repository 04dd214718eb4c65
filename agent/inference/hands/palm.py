"""Hands with no body in view: MediaPipe's palm detector."""

from __future__ import annotations

from dataclasses import dataclass

from agent.core.geometry import box_of_palm
from agent.core.types import Box, Floats, Image
from agent.inference.detector import Detector
from agent.inference.grey import skin_toned


@dataclass(frozen=True, slots=True, eq=False)
class Palm:
    """A palm and the hand box that follows from it; `points` as in `Detection`."""

    box: Box
    score: float
    points: Floats


class PalmFinder:
    """Palms in a whole picture, or in squares of it where a hand is likely.

    At 192 pixels a palm farther than about 1.5 m is lost in the whole picture; in a square around the hand it
    is not.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def find(self, image: Image, regions: list[Box]) -> list[list[Palm]]:
        """Palms of each region, best first; in grey pictures too."""
        found = self._detector.find(skin_toned(image), regions)
        return [[Palm(box_of_palm(d.points), d.score, d.points) for d in palms] for palms in found]
