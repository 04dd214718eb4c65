"""Memory that sources of raw pixels read their frames into: ordinary, or what a GPU copies from directly."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

import numpy as np

from agent.core.types import Image

PixelFormat: TypeAlias = Literal["BGR", "BGRx", "NV12"]
"""3 bytes a pixel; 4, of which the last means nothing; 1.5, as video decoders write them (`Nv12Image`)."""


class FrameMemory(Protocol):
    """Memory for frames, given out to the threads of the cameras."""

    pixel_formats: tuple[PixelFormat, ...]
    """What may be read into it, best first. BGRx is seen as BGR through a view, without conversion."""

    def new(self, nbytes: int) -> Image:
        """Return uint8 (nbytes,), not initialised, that belongs to the caller for as long as it lives."""


class OrdinaryFrameMemory:
    """`FrameMemory` of NumPy, for networks on the CPU."""

    pixel_formats: tuple[PixelFormat, ...] = ("BGR",)

    def new(self, nbytes: int) -> Image:
        """See `FrameMemory`."""
        return np.empty(nbytes, np.uint8)


def packed_bgr(image: Image) -> Image:
    """Return an image as contiguous BGR: itself, or a copy of a view of BGRx pixels.

    Channel by channel, which takes an eighth of the time of NumPy's copy of the view, or of OpenCV's.
    """
    if image.flags.c_contiguous:
        return image
    packed = np.empty(image.shape, image.dtype)
    for channel in range(image.shape[2]):
        packed[..., channel] = image[..., channel]
    return packed
