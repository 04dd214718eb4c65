"""Conversion of decoded FFmpeg frames to BGR: deinterlaced, square pixels, rotated as recorded."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from agent.capture.deinterlace import deinterlaced
from agent.capture.framing import of_square_pixels
from agent.core.types import Image
from agent.picture_file import check_size

if TYPE_CHECKING:
    from agent.config.settings import CameraSettings

MAX_ASPECT = 8  # largest pixel aspect ratio; a larger one is an error in the file

av.logging.set_level(None)  # FFmpeg would print URLs with passwords to stderr; errors are raised anyway


def decoder_options(max_pixels: int) -> dict[str, str]:
    """Return FFmpeg options that reject images over `max_pixels` before memory is allocated for them."""
    return {"max_pixels": str(max_pixels)}


class FrameConverter:
    """Converts the frames of one video stream to BGR images."""

    def __init__(self, stream: av.VideoStream, settings: CameraSettings) -> None:
        self._pixel_aspect = settings.pixel_aspect or pixel_aspect_of(stream)
        self._max_pixels = settings.max_pixels
        self._to_bgr = VideoReformatter()  # caches its conversion tables

    def convert(self, frame: av.VideoFrame) -> Image:
        """Convert a frame to uint8 (H, W, 3) BGR. Raises `UnreadablePicture` where it is too large.

        Interlaced frames are deinterlaced, pixels stretched to squares (never shrunk), and the image is
        rotated by the stream's display matrix. The decoder has cropped it already.
        """
        check_size(frame.width, frame.height, self._max_pixels)
        bgr = self._to_bgr.reformat(frame, format="bgr24", threads=1)  # waking more costs more than it saves
        image: Image = cast("Image", bgr.to_ndarray())
        if frame.interlaced_frame:
            image = deinterlaced(image)
        image = of_square_pixels(image, self._pixel_aspect)
        matrix = frame.side_data.get("DISPLAYMATRIX")
        return image if matrix is None else shown_as(image, np.frombuffer(cast("Any", matrix), np.int32))


def pixel_aspect_of(stream: av.VideoStream) -> float:
    """Return pixel width / height as the container or codec gives it; 1 where missing or implausible."""
    for said in (stream.sample_aspect_ratio, stream.codec_context.sample_aspect_ratio):
        if said and 1 / MAX_ASPECT <= said <= MAX_ASPECT:
            return float(said)
    return 1.0


def shown_as(image: Image, matrix: np.ndarray[Any, np.dtype[np.int32]]) -> Image:
    """Apply a display matrix (3 x 3 by rows, ISO/IEC 14496-12): quarter turns and flips only."""
    a, b, _, c, d = (int(value) for value in matrix[:5])
    if abs(a) < abs(b):  # x goes to y
        image = cast("Image", cv2.transpose(image))
        a, d = c, b
    if a < 0:
        image = cast("Image", cv2.flip(image, 1))
    if d < 0:
        image = cast("Image", cv2.flip(image, 0))
    return image


def frames_a_second(stream: av.VideoStream, otherwise: float) -> float:
    """Return the stream's own frames per second where plausible, else `otherwise`."""
    for said in (stream.average_rate, stream.guessed_rate):
        if said is not None and isinstance(said, Fraction) and 0.1 <= said <= 240:
            return float(said)
    return otherwise


def explained(error: Exception) -> str:
    """Return FFmpeg's error text without the URL that it contains."""
    return str(getattr(error, "strerror", None) or type(error).__name__).strip()
