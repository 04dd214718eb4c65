"""Crops: cuts rotated squares from images and converts them to network input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from agent.core.types import Box, Floats, Image, Pixels, bgr_of
from agent.inference.manifest import Input

SHRINK_LIMIT = 2.0  # from this downscaling factor on, bilinear sampling skips pixels: average first


def cut(image: Pixels, box: Box, size: tuple[int, int], fill: int = 0) -> Image:
    """Return `box` scaled to fit `size` (height, width), uint8 (*size, 3) in the colours of `image` or BGR.

    Outside the image the value is `fill`. Where `size` is not square, the box is centred and the image
    continues at its sides.
    """
    how = sampling((image.shape[0], image.shape[1]), box, size)
    part, matrix = _needed(_shrunk(bgr_of(image), how), how.matrix, size)
    if not part.size:
        return np.full((*size, 3), fill, np.uint8)
    four = cv2.cvtColor(part, cv2.COLOR_BGR2BGRA)  # of four channels OpenCV samples twice as fast as of three
    done = cv2.warpAffine(
        four, matrix, size[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT, borderValue=(fill, fill, fill, fill),
    )  # fmt: skip
    return np.asarray(cv2.cvtColor(done, cv2.COLOR_BGRA2BGR), np.uint8)


def to_picture(box: Box, size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return the affine matrix (2, 3) from pixel centres of the crop to pixel centres of the image."""
    height, width = size
    scale = box.side / min(size)
    cos, sin = scale * math.cos(box.angle), scale * math.sin(box.angle)
    mid_x, mid_y = (width - 1) / 2, (height - 1) / 2
    x0 = box.cx - 0.5 - (cos * mid_x - sin * mid_y)
    y0 = box.cy - 0.5 - (sin * mid_x + cos * mid_y)
    return np.array([[cos, -sin, x0], [sin, cos, y0]])


def points_in_picture(points: Floats, box: Box, size: tuple[int, int]) -> Floats:
    """Transform points from a crop to the image: float32 (..., 2 or more); a third column is scaled alike.

    Points are positions, not pixel indices: the first pixel spans 0 to 1.
    """
    scale = box.side / min(size)
    cos, sin = scale * math.cos(box.angle), scale * math.sin(box.angle)
    turn = np.array([(cos, sin), (-sin, cos)], np.float32)  # row vectors: p @ turn
    placed = np.array(points, np.float32)
    middle = np.array([size[1] / 2, size[0] / 2], np.float32)
    placed[..., :2] = (placed[..., :2] - middle) @ turn + np.array([box.cx, box.cy], np.float32)
    placed[..., 2:3] *= scale
    return placed


def letterbox(image: Pixels) -> Box:
    """Return the upright square around a whole image."""
    height, width = image.shape[:2]
    return Box(width / 2, height / 2, float(max(height, width)))


def spread(length: float, side: float, overlap: float = 1 / 3) -> list[float]:
    """Return the centres of squares that cover a length, adjacent ones overlapping by at least `overlap`."""
    if side >= length:
        return [length / 2]
    count = math.ceil((length - side) / (side * (1 - overlap)) - 1e-9) + 1
    return [side / 2 + (length - side) * i / (count - 1) for i in range(count)]


def fill_batch(cuts: Sequence[Image], spec: Input) -> Floats:
    """Convert BGR crops to float32 (N, ...) in the layout, colours and range of the manifest."""
    height, width = spec.size
    planes = np.empty((len(cuts), 3, height, width), np.float32)
    table = (np.arange(256, dtype=np.float32) - np.float32(spec.offset)) * np.float32(spec.scale)
    order = (2, 1, 0) if spec.color == "RGB" else (0, 1, 2)
    for number, picture in enumerate(cuts):
        channels = cv2.split(picture)
        for place, channel in enumerate(order):
            cv2.LUT(channels[channel], table, dst=planes[number, place])
    return planes if spec.layout == "NCHW" else np.ascontiguousarray(planes.transpose(0, 2, 3, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Sampling:
    """How a crop is sampled: `matrix` (2, 3) maps pixel centres of the crop to those of a downscaled part.

    The part begins at `left`, `top` of the image and has `wide` x `high` blocks of `factor` x `factor`
    pixels, each averaged; outside it is black.
    """

    matrix: npt.NDArray[np.float64]
    left: int
    top: int
    wide: int
    high: int
    factor: int


def sampling(picture: tuple[int, int], box: Box, size: tuple[int, int]) -> Sampling:
    """Compute the sampling of `box` from an image of (height, width); averages from `SHRINK_LIMIT` on."""
    height, width = picture
    matrix, scale = to_picture(box, size), box.side / min(size)
    whole = Sampling(matrix, 0, 0, width, height, 1)
    if scale < SHRINK_LIMIT:
        return whole
    factor = int(scale)
    corners = np.array([(x, y, 1) for x in (0, size[1] - 1) for y in (0, size[0] - 1)]) @ matrix.T
    left, top = (max(int(low) - factor, 0) for low in corners.min(axis=0))
    right, bottom = (int(high) + 2 * factor for high in corners.max(axis=0))
    wide, high = (min(right, width) - left) // factor, (min(bottom, height) - top) // factor
    if wide < 1 or high < 1:
        return whole  # entirely outside the frame: black in any case
    shift = np.array([[0, 0, left + (factor - 1) / 2], [0, 0, top + (factor - 1) / 2]])
    return Sampling((matrix - shift) / factor, left, top, wide, high, factor)


def _shrunk(image: Image, how: Sampling) -> Image:
    """The part of the image that a crop needs, downscaled."""
    if how.factor == 1:
        return image
    bottom, right = how.top + how.high * how.factor, how.left + how.wide * how.factor
    part = image[how.top : bottom, how.left : right]
    if how.factor % 2:  # the same means, rounded alike, in half the time of INTER_AREA
        blurred = cv2.blur(part, (how.factor, how.factor), anchor=(0, 0))
        return np.asarray(blurred[:: how.factor, :: how.factor], np.uint8)
    return np.asarray(cv2.resize(part, (how.wide, how.high), interpolation=cv2.INTER_AREA), np.uint8)


def _needed(
    image: Image, matrix: npt.NDArray[np.float64], size: tuple[int, int]
) -> tuple[Image, npt.NDArray[np.float64]]:
    """The part of `image` that a crop samples from, and the matrix to it; empty where it lies outside."""
    corners = np.array([(x, y, 1) for x in (0, size[1] - 1) for y in (0, size[0] - 1)]) @ matrix.T
    low, high = corners.min(axis=0), corners.max(axis=0)
    left, top = (max(math.floor(place) - 1, 0) for place in low)
    right, bottom = (max(math.ceil(place) + 2, 0) for place in high)
    return image[top:bottom, left:right], matrix - np.array([[0, 0, left], [0, 0, top]])
