"""Interface of a GPU: device memory, pinned host memory, streams, kernels.

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
    """A block of device memory."""

    @property
    def address(self) -> int:
        """Device address."""

    @property
    def nbytes(self) -> int:
        """Size in bytes."""

    def free(self) -> None:
        """Free the memory; twice does nothing."""


class Stream(Protocol):
    """A queue of work on the device, executed in order."""

    @property
    def handle(self) -> int:
        """CUDA stream handle, for TensorRT."""

    def synchronize(self) -> None:
        """Wait until all queued work is done. Raises `EngineError` when some of it failed."""

    def after(self, other: Stream) -> None:
        """Make further work of this stream wait for the present work of another."""


class Kernel(Protocol):
    """A function on the device."""

    def launch(self, grid: Grid, block: Grid, arguments: Sequence[int | np.generic], stream: Stream) -> None:
        """Queue a run; an int argument is an address, a numpy scalar a number. Raises `EngineError`."""


class Graph(Protocol):
    """Work that was captured once and is started as a whole (a CUDA graph)."""

    def launch(self, stream: Stream) -> None:
        """Start it again, with what the same memory holds by now. Raises `EngineError`."""


class Device(Protocol):
    """One GPU. Allocations raise `ModelError` when its memory is full."""

    gpu: Gpu

    def memory(self, nbytes: int) -> Memory:
        """Allocate device memory."""

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Allocate pinned host memory, which the device accesses directly."""

    def stream(self) -> Stream:
        """Create a stream."""

    def upload(self, target: Memory, source: Array, stream: Stream) -> None:
        """Start a copy to the device; `source` is contiguous and must not change until the stream is done."""

    def download(self, target: Array, source: Memory, stream: Stream) -> None:
        """Start a copy from the device into a contiguous array."""

    def kernel(self, source: str, name: str) -> Kernel:
        """Compile CUDA C++, once per source. Raises `ModelError`."""

    def capture(self, stream: Stream, work: Callable[[], None]) -> Graph | None:
        """Record what `work` asks of the stream instead of doing it.

        None where there are no CUDA graphs, or where the driver or something in `work` refuses: the stream
        goes on as if nothing had been asked. Copies must be from and to pinned memory.
        """

    def current(self) -> AbstractContextManager[None]:
        """Context manager that makes the device current in a thread; required around all other calls."""

    def free_bytes(self) -> int:
        """Free device memory in bytes."""
