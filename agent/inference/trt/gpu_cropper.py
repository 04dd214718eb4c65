"""Cuts on the GPU: the numbers that the kernel wants for each box, and its launch."""

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

NUMBERS = 11  # floats a cut, as cuts.cu says
BLOCK = (32, 8, 1)


@cache
def source() -> str:
    """The kernel in CUDA C++."""
    return Path(__file__).with_name("cuts.cu").read_text(encoding="utf-8")


def numbers_of(picture: tuple[int, ...], boxes: Sequence[Box], size: tuple[int, int]) -> Floats:
    """float32 (cuts, NUMBERS): the sampling that `crops.cut` does with OpenCV.

    `picture` is (height, width, ...).
    """
    table = np.empty((len(boxes), NUMBERS), np.float32)
    for row, box in zip(table, boxes, strict=True):
        how = sampling((picture[0], picture[1]), box, size)
        row[:6] = how.matrix.reshape(-1)
        row[6:] = how.left, how.top, how.wide, how.high, how.factor
    return table


class GpuCropper:
    """Cuts boxes out of uploaded pictures, straight into a network's input."""

    def __init__(self, device: Device, most: int) -> None:
        """Room for `most` cuts a run. Raises `ModelError` where the kernel cannot be compiled."""
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
        """Start to cut boxes of one picture; they become the input's pictures from `first` on.

        The table of a run is written once: call with rising `first` and wait before the next run.
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
        """Give the memory back."""
        self._memory.free()


class _MemorySlice:
    """A piece of a piece of memory."""

    def __init__(self, whole: Memory, start: int, nbytes: int) -> None:
        self.address, self.nbytes = whole.address + start, nbytes

    def free(self) -> None:
        """It is not ours."""
