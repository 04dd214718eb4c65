"""Tiling: squares of an image in which people are detected.

BlazePose's detector is made for the single person of a video call: of two people it often finds only one, and
no small ones. A tile that holds little else finds those too. Wide images are scaled down so far that halves
are searched as well.
"""

from __future__ import annotations

from agent.core.types import Box, Pixels
from agent.inference.crops import letterbox, spread

PART = 0.75  # side of a tile / short side of the image
UPPER = 0.75  # upper share of the image in which upper bodies are searched
WIDE = 1.5  # width / height from which an image is wide
LEAST_PX = 200  # minimum side of a tile: the detector's input is 224


def tiles_of(image: Pixels) -> list[Box]:
    """Return the whole image, the halves of a wide one, then tiles that cover its upper part.

    640 x 480 gives 1 + 3, 1280 x 720 gives 1 + 2 + 4, a small image 1.
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
