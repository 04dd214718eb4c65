"""The GPU through PyCUDA: the device's primary context, which TensorRT uses too.

`cuda_bindings.py` is the first choice: this one is compiled where it is installed and has no CUDA graphs.
"""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pycuda.driver as cuda

from agent.errors import EngineError, ModelError
from agent.inference.trt.compile import load_kernels
from agent.inference.trt.device import Array, Graph, Grid, Memory, Stream
from agent.inference.trt.driver import find_gpu


@contextmanager
def _as_engine_error(what: str) -> Iterator[None]:
    """Turn PyCUDA's exceptions into `EngineError`."""
    try:
        yield
    except cuda.Error as exc:
        raise EngineError(
            f"{what} ({exc}); see `dmesg | grep -i nvrm`; a restart of the agent may be needed"
        ) from exc


class CudaMemory:
    """`Memory` on PyCUDA: one allocation of device memory."""

    def __init__(self, nbytes: int) -> None:
        try:
            self._allocation: Any = cuda.mem_alloc(nbytes)
        except cuda.MemoryError as exc:
            free, total = cuda.mem_get_info()
            raise ModelError(
                f"the GPU's memory is full: {nbytes:,} bytes did not fit, {free:,} of {total:,} are free; "
                "close what else uses it, or lower recognition.tensorrt.batch"
            ) from exc
        self.address, self.nbytes = int(self._allocation), nbytes

    def free(self) -> None:
        """Free the memory; twice does nothing."""
        if self._allocation is not None:
            self._allocation.free()
            self._allocation = None


class CudaStream:
    """`Stream` on PyCUDA, with one event for other streams and one for the CPU to wait on.

    `blocking`: a waiting thread sleeps; else it spins, which is some 20 us faster and keeps a core
    busy: too much on a board with few cores.
    """

    def __init__(self, *, blocking: bool) -> None:
        flags = cuda.event_flags
        self.raw = cuda.Stream()
        self.handle = int(self.raw.handle)
        self.mark = cuda.Event(flags.DISABLE_TIMING)
        self._done = cuda.Event(flags.DISABLE_TIMING | (flags.BLOCKING_SYNC if blocking else 0))

    def synchronize(self) -> None:
        """Wait until all queued work is done. Raises `EngineError` when some of it failed."""
        with _as_engine_error("the GPU failed"):
            self._done.record(self.raw)
            self._done.synchronize()

    def after(self, other: Stream) -> None:
        """Make further work of this stream wait for the present work of another."""
        assert isinstance(other, CudaStream)  # one device, one kind of stream  # noqa: S101
        with _as_engine_error("the GPU failed"):
            other.mark.record(other.raw)
            self.raw.wait_for_event(other.mark)


class CudaKernel:
    """`Kernel` on PyCUDA: one compiled function."""

    def __init__(self, module: Any, name: str) -> None:
        self._module = module  # keeps the module loaded
        self._function = module.get_function(name)

    def launch(self, grid: Grid, block: Grid, arguments: Sequence[int | np.generic], stream: Stream) -> None:
        """Queue a run of the kernel on a stream. Raises `EngineError`."""
        assert isinstance(stream, CudaStream)  # noqa: S101
        given = [np.uint64(a) if isinstance(a, int) else a for a in arguments]
        with _as_engine_error("a kernel could not be started"):
            self._function(*given, grid=grid, block=block, stream=stream.raw)


class CudaDevice:
    """`Device` on PyCUDA: the first GPU."""

    def __init__(self, cache_dir: Path) -> None:
        """Open the GPU. Raises `ModelError`: no driver, no GPU."""
        self.gpu = find_gpu()
        self._cache_dir = cache_dir
        try:
            cuda.init()
            self._context: Any = cuda.Device(0).retain_primary_context()
        except cuda.Error as exc:
            raise ModelError(f"{self.gpu.label}: PyCUDA cannot use it ({exc}); see nvidia-smi") from exc
        atexit.register(self._context.detach)  # before PyCUDA's own end, which expects no context of others
        self._kernels: dict[tuple[str, str], CudaKernel] = {}

    def memory(self, nbytes: int) -> Memory:
        """Allocate device memory. Raises `ModelError` when it is full."""
        return CudaMemory(nbytes)

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Allocate pinned host memory. Raises `ModelError` when it is not available."""
        try:
            array: Array = cuda.pagelocked_empty(shape, dtype)
        except cuda.Error as exc:
            raise ModelError(f"no pinned memory for {shape} ({exc}); is `ulimit -l` too low?") from exc
        return array

    def stream(self) -> Stream:
        """Create a stream."""
        return CudaStream(blocking=self.gpu.integrated)

    def upload(self, target: Memory, source: Array, stream: Stream) -> None:
        """Start a copy from host to device."""
        assert isinstance(stream, CudaStream)  # noqa: S101
        with _as_engine_error(f"{source.nbytes:,} bytes could not be uploaded"):
            cuda.memcpy_htod_async(target.address, source, stream.raw)

    def download(self, target: Array, source: Memory, stream: Stream) -> None:
        """Start a copy from device to host."""
        assert isinstance(stream, CudaStream)  # noqa: S101
        with _as_engine_error(f"{target.nbytes:,} bytes could not be downloaded"):
            cuda.memcpy_dtoh_async(target, source.address, stream.raw)

    def kernel(self, source: str, name: str) -> CudaKernel:
        """Compile and load a kernel, once per source. Raises `ModelError`."""
        if (source, name) not in self._kernels:
            self._kernels[source, name] = load_kernels(
                source, self.gpu, self._cache_dir, lambda code: self._loaded(code, name)
            )
        return self._kernels[source, name]

    def capture(self, stream: Stream, work: Callable[[], None]) -> Graph | None:  # noqa: ARG002
        """See `Device`: PyCUDA has no CUDA graphs."""
        return None

    def _loaded(self, code: bytes, name: str) -> CudaKernel:
        try:
            return CudaKernel(cuda.module_from_buffer(code), name)
        except cuda.Error as exc:
            raise ModelError(f"the driver does not load the kernel {name} ({exc})") from exc

    @contextmanager
    def current(self) -> Iterator[None]:
        """Context manager that makes this GPU current in the calling thread."""
        with _as_engine_error("the GPU's context is gone"):
            self._context.push()
        try:
            yield
        finally:
            if not sys.is_finalizing():
                cuda.Context.pop()

    def free_bytes(self) -> int:
        """Free device memory in bytes."""
        return int(cuda.mem_get_info()[0])
