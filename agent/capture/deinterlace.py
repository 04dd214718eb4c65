"""Deinterlacing: removes comb artefacts from interlaced images."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from agent.core.types import Image

COMB = 12  # grey levels by which a line differs from both neighbours, in one direction, where things moved


def deinterlaced(image: Image) -> Image:
    """Return the image of the first field, with lines of the second field kept where nothing moved.

    A line that differs by more than `COMB` from the lines above and below, in one direction, is a comb and is
    interpolated. Still areas keep their full vertical resolution, which dropping a field would halve.
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
