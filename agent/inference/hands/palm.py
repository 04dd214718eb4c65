"""Palm detection with MediaPipe's detector, for hands without a body in view."""

from __future__ import annotations

from dataclasses import dataclass

from agent.core.geometry import box_of_palm
from agent.core.types import Box, Floats, Pixels
from agent.inference.detector import Detector
from agent.inference.grey import skin_toned


@dataclass(frozen=True, slots=True, eq=False)
class Palm:
    """A detected palm and the hand box derived from it; `points` as in `Detection`."""

    box: Box
    score: float
    points: Floats


class PalmFinder:
    """Detects palms in a whole image, or in squares of it where a hand is likely.

    At 192 px input a palm farther than about 1.5 m is missed in the whole image, but found in a square around
    it.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def find(self, image: Pixels, regions: list[Box]) -> list[list[Palm]]:
        """Return the palms of each region, highest score first; works on greyscale images.

        Raises `EngineError`.
        """
        found = self._detector.find(skin_toned(image), regions)
        return [[Palm(box_of_palm(d.points), d.score, d.points) for d in palms] for palms in found]
