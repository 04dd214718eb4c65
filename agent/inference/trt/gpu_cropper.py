"""Cropping on the GPU: kernel parameters of each box, and the kernel launch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from agent.core.types import Box, Floats
from agent.inference.crops import sampling
from agent.inference.manifest import Input
from agent.inference.trt.device import Device, Kernel, Memory, Stream
from agent.inference.trt.upload_cache import Upload

NUMBERS = 11  # floats per crop, as in cuts.cu
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
        self._table = device.pinned((most, NUMBERS), np.float32)
        self._memory = device.memory(self._table.nbytes)

    def crop(
        self,
        upload: Upload,
        boxes: Sequence[Box],
        spec: Input,
        *,
        target: Memory,
        first: int,
        stream: Stream,
        fill: int = 0,
    ) -> None:
        """Start cropping boxes of one frame; they become the input's images from `first` on.

        The parameter table is written once per run: call with rising `first`, and wait before the next run.
        """
        height, width = spec.size
        rows = self._table[first : first + len(boxes)]
        rows[:] = numbers_of(upload.shape, boxes, spec.size)
        self._device.upload(_MemorySlice(self._memory, first * NUMBERS * 4, rows.nbytes), rows, stream)
        grid = (-(-width // BLOCK[0]), -(-height // BLOCK[1]), len(boxes))
        arguments: list[int | np.generic] = [
            upload.memory.address, np.int32(upload.pitch), self._memory.address + first * NUMBERS * 4,
            target.address + first * 3 * height * width * 4, np.int32(width), np.int32(height),
            np.int32(spec.layout == "NHWC"), np.int32(spec.color == "RGB"),
            np.float32(fill), np.float32(spec.offset), np.float32(spec.scale),
        ]  # fmt: skip
        self._kernel.launch(grid, BLOCK, arguments, stream)

    def close(self) -> None:
        """Free the memory."""
        self._memory.free()


class _MemorySlice:
    """A part of another block of memory."""

    def __init__(self, whole: Memory, start: int, nbytes: int) -> None:
        self.address, self.nbytes = whole.address + start, nbytes

    def free(self) -> None:
        """Do nothing: the other block owns it."""
