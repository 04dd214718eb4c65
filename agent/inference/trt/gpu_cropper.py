"""Cropping on the GPU: kernel parameters of each box, and the kernel launch."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from agent.core.types import Box, Floats
from agent.inference.crops import sampling
from agent.inference.manifest import Input
from agent.inference.trt.device import Device, Kernel, Memory, Stream
from agent.inference.trt.upload_cache import Upload

NUMBERS, COLOUR = 11, 6  # floats a cut, as cuts.cu says
# One cut as the kernel reads it. The picture's address is in it, not among the kernel's arguments, so that
# one launch cuts from several pictures, and one that is replayed as a CUDA graph cuts from those of now.
ROW = np.dtype(
    [
        ("frame", "<u8"), ("chroma", "<u8"), ("pitch", "<i4"), ("step", "<i4"),
        ("numbers", "<f4", (NUMBERS,)), ("colour", "<f4", (COLOUR,)),
    ],
    align=True,
)  # fmt: skip
BLOCK = (32, 8, 1)


@cache
def source() -> str:
    """Return the CUDA C++ source of the kernel."""
    return Path(__file__).with_name("cuts.cu").read_text(encoding="utf-8")


def numbers_of(picture: tuple[int, ...], boxes: Sequence[Box], size: tuple[int, int]) -> Floats:
    """Return the kernel parameters of boxes, float32 (cuts, NUMBERS); sampling as `crops.cut` with OpenCV.

    `picture` is (height, width, ...).
    """
    table = np.empty((len(boxes), NUMBERS), np.float32)
    for row, box in zip(table, boxes, strict=True):
        how = sampling((picture[0], picture[1]), box, size)
        row[:6] = how.matrix.reshape(-1)
        row[6:] = how.left, how.top, how.wide, how.high, how.factor
    return table


class GpuCropper:
    """Crops boxes from uploaded frames directly into a network's input buffer."""

    def __init__(self, device: Device, most: int) -> None:
        """Allocate for `most` crops a run. Raises `ModelError` where the kernel cannot be compiled."""
        self._device = device
        self._kernel: Kernel = device.kernel(source(), "cut_and_normalise")
        self._table = device.pinned((most,), ROW)
        self._memory = device.memory(self._table.nbytes)

    def write(self, first: int, upload: Upload, boxes: Sequence[Box], spec: Input) -> None:
        """Have the next launch cut boxes of a picture as its cuts from `first` on.

        The launch before must be waited for: there is one table.
        """
        rows = self._table[first : first + len(boxes)]
        rows["frame"], rows["pitch"], rows["step"] = upload.memory.address, upload.pitch, upload.step
        rows["chroma"], rows["colour"] = upload.memory.address + upload.chroma_at, upload.colour
        rows["numbers"] = numbers_of(upload.shape, boxes, spec.size)

    def launch(self, count: int, spec: Input, *, target: Memory, stream: Stream, fill: int = 0) -> None:
        """Start the first `count` cuts; they become the pictures of the input at `target`.

        Asks for the same each time for one `kind` and count, so that it may be captured.
        """
        height, width = spec.size
        self._device.upload(self._memory, self._table[:count], stream)
        grid = (-(-width // BLOCK[0]), -(-height // BLOCK[1]), count)
        arguments: list[int | np.generic] = [
            self._memory.address, target.address, np.int32(width), np.int32(height),
            np.int32(spec.layout == "NHWC"), np.int32(spec.color == "RGB"),
            np.float32(fill), np.float32(spec.offset), np.float32(spec.scale),
        ]  # fmt: skip
        self._kernel.launch(grid, BLOCK, arguments, stream)

    @staticmethod
    def kind(spec: Input, fill: int) -> tuple[Hashable, ...]:
        """What of an input and a fill decides what `launch` asks for."""
        return (spec.name, spec.size, spec.layout, spec.color, spec.offset, spec.scale, fill)

    def close(self) -> None:
        """Free the memory."""
        self._memory.free()
