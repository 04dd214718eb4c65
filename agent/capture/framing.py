"""Conversion of a source's images to frames: rotated, mirrored, square pixels, numbered."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import cv2

from agent.core.types import Frame, Image, Pixels

if TYPE_CHECKING:
    from agent.config.settings import CameraSettings

_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
SQUARE = 0.01  # deviation of the pixel aspect from 1 that still counts as square
_LEFT_RIGHT = 1  # cv2.flip around the vertical axis


def upright(image: Image, rotate: int, mirror: bool) -> Image:
    """Rotate an image by `rotate` degrees clockwise, then swap left and right where `mirror` is set."""
    turned = cv2.rotate(image, _TURNS[rotate]) if rotate else image
    return cast("Image", cv2.flip(turned, _LEFT_RIGHT) if mirror else turned)


def of_square_pixels(image: Image, pixel_aspect: float) -> Image:
    """Widen or heighten (never shrink) an image so that its pixels are square."""
    if abs(pixel_aspect - 1) <= SQUARE:
        return image
    height, width = image.shape[:2]
    size = (
        (round(width * pixel_aspect), height) if pixel_aspect > 1 else (width, round(height / pixel_aspect))
    )
    return cast("Image", cv2.resize(image, size, interpolation=cv2.INTER_LINEAR))


class Framing:
    """Builds the frames of one source, numbered from 0."""

    def __init__(self, settings: CameraSettings, camera: str) -> None:
        self._camera = camera
        self._rotate = settings.rotate
        self._mirror = settings.mirror
        self._pixel_aspect = settings.pixel_aspect or 1.0
        self._seq = 0

    @property
    def keeps_pixels(self) -> bool:
        """Whether frames hold the very images that are given: nothing is turned, mirrored or stretched."""
        return not (self._rotate or self._mirror) and abs(self._pixel_aspect - 1) <= SQUARE

    @property
    def begun(self) -> bool:
        """Whether a frame was built already."""
        return self._seq > 0

    def frame(self, image: Image, at: float, *, square: bool = False) -> Frame:
        """Build the next frame, captured at `at` seconds; `square` skips the correction of pixel aspect."""
        if not square:
            image = of_square_pixels(image, self._pixel_aspect)
        return self.kept(upright(image, self._rotate, self._mirror), at)

    def kept(self, pixels: Pixels, at: float) -> Frame:
        """Build the next frame of these very pixels, captured at `at` seconds."""
        frame = Frame(self._camera, self._seq, at, pixels)
        self._seq += 1
        return frame
