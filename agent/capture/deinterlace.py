"""Takes the combs out of interlaced pictures."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from agent.core.types import Image

COMB = 12  # grey levels that a line differs from both its neighbours, the same way, where things moved


def deinterlaced(image: Image) -> Image:
    """The moment of the first field: lines of the second are kept where nothing moved, else interpolated.

    A line that differs by more than `COMB` from the lines above and below, the same way, is a comb. Detail
    that stands still keeps its full height, which dropping a field would halve.
    """
    height = image.shape[0] // 2 * 2
    first, second = image[0:height:2], image[1:height:2]
    below = np.concatenate([first[1:], first[-1:]])
    over_above = cv2.subtract(second, first, dtype=cv2.CV_16S)
    over_below = cv2.subtract(second, below, dtype=cv2.CV_16S)
    combs = (np.minimum(over_above, over_below) > COMB) | (np.maximum(over_above, over_below) < -COMB)
    moved = cv2.dilate(np.asarray(combs.any(axis=2), np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    result = image.copy()
    between = cv2.addWeighted(first, 0.5, below, 0.5, 0)
    result[1:height:2][moved] = between[moved]
    return cast("Image", result)
