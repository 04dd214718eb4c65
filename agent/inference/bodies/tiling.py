"""Squares of a picture in which people are looked for.

BlazePose's detector was made for the one person of a video call: of two it often sees only the plainer one,
and none who is small. A square that holds little but them shows those too. As a whole a wide picture becomes
so small for the detector that it loses more of them: there its halves are looked at as well.
"""

from __future__ import annotations

from agent.core.types import Box, Image
from agent.inference.crops import letterbox, spread

PART = 0.75  # side of the parts / short side of the picture
UPPER = 0.75  # share of the picture, from above, in which upper bodies are looked for
WIDE = 1.5  # times as wide as high
LEAST_PX = 200  # side of a part: the detector's input is 224


def tiles_of(image: Image) -> list[Box]:
    """The whole picture, of a wide one its halves, then squares that cover its upper part.

    Of 640 x 480 these are 1 + 3, of 1280 x 720 1 + 2 + 4, of a small one 1.
    """
    height, width = image.shape[:2]
    side = PART * min(height, width)
    if side < LEAST_PX:
        return [letterbox(image)]
    halves = spread(width, height, overlap=0) if width >= WIDE * height else []
    xs, ys = spread(width, side), spread(UPPER * height, side)
    return [
        letterbox(image),
        *(Box(x, height / 2, height) for x in halves),
        *(Box(x, y, side) for y in ys for x in xs),
    ]
