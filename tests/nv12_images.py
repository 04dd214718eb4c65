"""NV12 images of pictures, by the formula of ITU-R BT.601 and BT.709: what a decoder would have written."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agent.core.frame_memory import OrdinaryFrameMemory
from agent.core.nv12 import BT601, Nv12Image, YuvColour
from agent.core.types import Image

ORDINARY = OrdinaryFrameMemory()
GARBAGE = 0xAA  # between the rows


def as_nv12(
    image: Image,
    colour: YuvColour = BT601,
    pitch: int | None = None,
    memory: Callable[[int], Image] = ORDINARY.new,
) -> Nv12Image:
    """A BGR image as NV12 with rows of `pitch` bytes (as few as GStreamer's, where None)."""
    height, width = image.shape[:2]
    pitch = pitch or -(-width // 4) * 4
    even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge").astype(np.float64) / 255
    blue, green, red = even.transpose(2, 0, 1)
    y = colour.red * red + (1 - colour.red - colour.blue) * green + colour.blue * blue
    halves = [(blue - y) / (2 - 2 * colour.blue), (red - y) / (2 - 2 * colour.red)]
    small = [half.reshape(len(y) // 2, 2, -1, 2).mean(axis=(1, 3)) for half in halves]
    first, luma, chroma = (0, 255, 255) if colour.full_range else (16, 219, 224)
    data = memory(len(y) * 3 // 2 * pitch).reshape(-1, pitch)
    data[:] = GARBAGE
    wide = y.shape[1]
    data[: len(y), :wide] = np.rint(y * luma + first)
    data[len(y) :, :wide] = np.clip(np.rint(np.stack(small, -1).reshape(-1, wide) * chroma + 128), 0, 255)
    return Nv12Image(data, height, width, colour)


class GpuFormats(OrdinaryFrameMemory):
    """Ordinary memory that asks for what a GPU asks for."""

    pixel_formats = ("NV12", "BGRx")
