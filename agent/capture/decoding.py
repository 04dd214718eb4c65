"""From a decoded frame of FFmpeg to the picture that its author meant: whole, upright, of square pixels."""

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

MAX_ASPECT = 8  # of a pixel; more is a mistake of the file

av.logging.set_level(None)  # FFmpeg writes to stderr, URLs with passwords too; errors are raised anyway


def decoder_options(max_pixels: int) -> dict[str, str]:
    """For `av.open` and the decoder: larger pictures are refused before memory is taken for them."""
    return {"max_pixels": str(max_pixels)}


class Pictures:
    """Makes pictures of the frames of one stream."""

    def __init__(self, stream: av.VideoStream, settings: CameraSettings) -> None:
        self._pixel_aspect = settings.pixel_aspect or pixel_aspect_of(stream)
        self._max_pixels = settings.max_pixels
        self._to_bgr = VideoReformatter()  # keeps the tables of its conversion

    def picture_of(self, frame: av.VideoFrame) -> Image:
        """uint8 (H, W, 3) BGR. Raises `UnreadablePicture`: too large.

        Interlaced frames are deinterlaced, pixels stretched to squares (never shrunk), then the picture is
        turned as the recording says (its display matrix). The decoder has cropped it already.
        """
        check_size(frame.width, frame.height, self._max_pixels)
        image: Image = cast("Image", self._to_bgr.reformat(frame, format="bgr24").to_ndarray())
        if frame.interlaced_frame:
            image = deinterlaced(image)
        image = of_square_pixels(image, self._pixel_aspect)
        matrix = frame.side_data.get("DISPLAYMATRIX")
        return image if matrix is None else shown_as(image, np.frombuffer(cast("Any", matrix), np.int32))


def pixel_aspect_of(stream: av.VideoStream) -> float:
    """Width of a pixel / its height, as container or codec say; 1 where they do not, or it makes no sense."""
    for said in (stream.sample_aspect_ratio, stream.codec_context.sample_aspect_ratio):
        if said and 1 / MAX_ASPECT <= said <= MAX_ASPECT:
            return float(said)
    return 1.0


def shown_as(image: Image, matrix: np.ndarray[Any, np.dtype[np.int32]]) -> Image:
    """Turned and flipped by a display matrix: 3 x 3, row by row, ISO/IEC 14496-12; quarter turns only."""
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
    """By the stream's own words where they can be believed."""
    for said in (stream.average_rate, stream.guessed_rate):
        if said is not None and isinstance(said, Fraction) and 0.1 <= said <= 240:
            return float(said)
    return otherwise


def explained(error: Exception) -> str:
    """What FFmpeg says, without the address that it repeats."""
    return str(getattr(error, "strerror", None) or type(error).__name__).strip()
