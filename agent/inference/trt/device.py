"""What the networks and kernels need of a GPU: memory, pinned host memory, streams, kernels.

`cuda_bindings.py` and `cuda.py` are the real ones, through NVIDIA's cuda-bindings and through PyCUDA; tests
bring one whose memory is the host's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from agent.inference.trt.driver import Gpu

Array: TypeAlias = npt.NDArray[Any]
Grid: TypeAlias = tuple[int, int, int]


class Memory(Protocol):
    """A piece of device memory."""

    @property
    def address(self) -> int:
        """For kernels and for TensorRT."""

    @property
    def nbytes(self) -> int:
        """Its size."""

    def free(self) -> None:
        """Give it back; twice does nothing."""


class Stream(Protocol):
    """An order of work on the device."""

    @property
    def handle(self) -> int:
        """For TensorRT."""

    def synchronize(self) -> None:
        """Wait until all that was asked of it is done. Raises `EngineError` when some of it failed."""

    def after(self, other: Stream) -> None:
        """What is asked of this one from now on waits for what was asked of the other until now."""


class Kernel(Protocol):
    """A function on the device."""

    def launch(self, grid: Grid, block: Grid, arguments: Sequence[int | np.generic], stream: Stream) -> None:
        """An int is an address, a numpy scalar a number of its own type. Raises `EngineError`."""


class Graph(Protocol):
    """Work that was captured once and is started as a whole (a CUDA graph)."""

    def launch(self, stream: Stream) -> None:
        """Start it again, with what the same memory holds by now. Raises `EngineError`."""


class Device(Protocol):
    """One GPU. Allocations raise `ModelError` when its memory is full."""

    gpu: Gpu

    def memory(self, nbytes: int) -> Memory:
        """Device memory."""

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Host memory that the device can copy from and to by itself."""

    def stream(self) -> Stream:
        """A new one."""

    def upload(self, target: Memory, source: Array, stream: Stream) -> None:
        """Start to copy; `source` is contiguous and stays as it is until the stream is there."""

    def download(self, target: Array, source: Memory, stream: Stream) -> None:
        """Start to copy into a contiguous array."""

    def kernel(self, source: str, name: str) -> Kernel:
        """Compile CUDA C++ (once for a source). Raises `ModelError`."""

    def capture(self, stream: Stream, work: Callable[[], None]) -> Graph | None:
        """Record what `work` asks of the stream instead of doing it.

        None where there are no CUDA graphs, or where the driver or something in `work` refuses: the stream
        goes on as if nothing had been asked. Copies must be from and to pinned memory.
        """

    def current(self) -> AbstractContextManager[None]:
        """Everything above must happen inside, in whatever thread."""

    def free_bytes(self) -> int:
        """Device memory that nobody uses."""
