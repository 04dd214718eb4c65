"""The GPU through NVIDIA's cuda-bindings: the device's primary context, which TensorRT uses too.

Its wheels for x86-64 and aarch64 need no compiler, and it has CUDA graphs, so it is the first choice;
`cuda.py` is the second. Every object is given back to the driver when Python lets go of it, in whatever
thread, until the context is released at exit.
"""

from __future__ import annotations

import atexit
import ctypes
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from cuda.bindings import driver

from agent.errors import EngineError, ModelError
from agent.inference.trt.compile import load_kernels
from agent.inference.trt.device import Array, Graph, Grid, Memory, Stream
from agent.inference.trt.driver import find_gpu

# Named here, because the enums of the package moved between its versions.
OUT_OF_MEMORY = 2
DISABLE_TIMING, BLOCKING_SYNC = 2, 1  # CUevent_flags
STREAM_NON_BLOCKING = 0  # CUstream_flags: streams wait for the default stream, as PyCUDA's do
THREAD_LOCAL = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL


class CudaCallError(Exception):
    """A call of the driver that failed: its `code` (CUresult) and the driver's words."""

    def __init__(self, code: Any) -> None:
        _, text = driver.cuGetErrorString(code)
        said = text.decode(errors="replace") if text else "unknown error"
        super().__init__(f"{code.name}: {said}")
        self.code = int(code)


def _called(result: tuple[Any, ...]) -> Any:
    """What a call gave besides its code. Raises `CudaCallError`."""
    code, *values = result
    if int(code):
        raise CudaCallError(code)
    return values[0] if values else None


@contextmanager
def _as_engine_error(what: str) -> Iterator[None]:
    """The driver's errors in the agent's terms."""
    try:
        yield
    except CudaCallError as exc:
        raise EngineError(
            f"{what} ({exc}); see `dmesg | grep -i nvrm`; a restart of the agent may be needed"
        ) from exc


class BindingsMemory:
    """See `Memory`."""

    def __init__(self, device: BindingsDevice, nbytes: int) -> None:
        try:
            self.address = int(_called(driver.cuMemAlloc(nbytes)))
        except CudaCallError as exc:
            if exc.code != OUT_OF_MEMORY:
                raise ModelError(f"no memory on the GPU: {exc}; see nvidia-smi") from exc
            free, total = device.memory_info()
            raise ModelError(
                f"the GPU's memory is full: {nbytes:,} bytes did not fit, {free:,} of {total:,} are free; "
                "close what else uses it, or lower recognition.tensorrt.batch"
            ) from exc
        self.nbytes = nbytes
        self._free = device.when_gone(self, driver.cuMemFree, self.address)

    def free(self) -> None:
        """See `Memory`."""
        self._free()


class BindingsStream:
    """See `Stream`. One event marks where others wait, one is waited for by the CPU.

    `blocking`: whoever waits sleeps meanwhile; else it spins, which is quicker by some 20 us and keeps a core
    busy: too much on a board of few cores.
    """

    def __init__(self, device: BindingsDevice, *, blocking: bool) -> None:
        try:
            self.raw = _called(driver.cuStreamCreate(STREAM_NON_BLOCKING))
            device.when_gone(self, driver.cuStreamDestroy, self.raw)
            self.mark = _called(driver.cuEventCreate(DISABLE_TIMING))
            device.when_gone(self, driver.cuEventDestroy, self.mark)
            waited = DISABLE_TIMING | (BLOCKING_SYNC if blocking else 0)
            self._done = _called(driver.cuEventCreate(waited))
            device.when_gone(self, driver.cuEventDestroy, self._done)
        except CudaCallError as exc:
            raise ModelError(f"no stream on the GPU: {exc}; see nvidia-smi") from exc
        self.handle = int(self.raw)

    def synchronize(self) -> None:
        """See `Stream`."""
        with _as_engine_error("the GPU failed"):
            _called(driver.cuEventRecord(self._done, self.raw))
            _called(driver.cuEventSynchronize(self._done))

    def after(self, other: Stream) -> None:
        """See `Stream`."""
        assert isinstance(other, BindingsStream)  # one device, one kind of stream  # noqa: S101
        with _as_engine_error("the GPU failed"):
            _called(driver.cuEventRecord(other.mark, other.raw))
            _called(driver.cuStreamWaitEvent(self.raw, other.mark, 0))


class BindingsKernel:
    """See `Kernel`."""

    def __init__(self, device: BindingsDevice, code: bytes, name: str) -> None:
        self._module = _called(driver.cuModuleLoadData(code))
        device.when_gone(self, driver.cuModuleUnload, self._module)
        self._function = _called(driver.cuModuleGetFunction(self._module, name.encode()))

    def launch(self, grid: Grid, block: Grid, arguments: Sequence[int | np.generic], stream: Stream) -> None:
        """See `Kernel`."""
        assert isinstance(stream, BindingsStream)  # noqa: S101
        values = [np.array(np.uint64(a) if isinstance(a, int) else a) for a in arguments]
        pointers = np.array([value.ctypes.data for value in values], np.uint64)
        with _as_engine_error("a kernel could not be started"):
            _called(
                driver.cuLaunchKernel(self._function, *grid, *block, 0, stream.raw, pointers.ctypes.data, 0)
            )


class BindingsGraph:
    """See `Graph`."""

    def __init__(self, device: BindingsDevice, captured: Any) -> None:
        try:
            self._graph = _called(driver.cuGraphInstantiate(captured, 0))
        finally:
            driver.cuGraphDestroy(captured)
        device.when_gone(self, driver.cuGraphExecDestroy, self._graph)

    def launch(self, stream: Stream) -> None:
        """See `Graph`."""
        assert isinstance(stream, BindingsStream)  # noqa: S101
        with _as_engine_error("a CUDA graph could not be started"):
            _called(driver.cuGraphLaunch(self._graph, stream.raw))


class BindingsDevice:
    """See `Device`: the first GPU."""

    def __init__(self, cache_dir: Path) -> None:
        """Raises `ModelError`: no driver, no GPU."""
        self.gpu = find_gpu()
        self._cache_dir = cache_dir
        try:
            _called(driver.cuInit(0))
            self._device = _called(driver.cuDeviceGet(0))
            self._context: Any = _called(driver.cuDevicePrimaryCtxRetain(self._device))
        except CudaCallError as exc:
            raise ModelError(
                f"{self.gpu.label}: cuda-bindings cannot use it ({exc}); see nvidia-smi"
            ) from exc
        self._released = False
        atexit.register(self._release)
        self._kernels: dict[tuple[str, str], BindingsKernel] = {}

    def memory(self, nbytes: int) -> Memory:
        """See `Device`."""
        return BindingsMemory(self, nbytes)

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """See `Device`. Raises `ModelError` where there is no such memory left."""
        nbytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        try:
            address = int(_called(driver.cuMemHostAlloc(nbytes, 0)))
        except CudaCallError as exc:
            raise ModelError(f"no pinned memory for {shape} ({exc}); is `ulimit -l` too low?") from exc
        block = (ctypes.c_ubyte * nbytes).from_address(address)  # every view of the array keeps it alive
        self.when_gone(block, driver.cuMemFreeHost, address)
        array: Array = np.frombuffer(block, dtype).reshape(shape)
        return array

    def stream(self) -> Stream:
        """See `Device`."""
        return BindingsStream(self, blocking=self.gpu.integrated)

    def upload(self, target: Memory, source: Array, stream: Stream) -> None:
        """See `Device`."""
        assert isinstance(stream, BindingsStream)  # noqa: S101
        with _as_engine_error(f"{source.nbytes:,} bytes could not be uploaded"):
            _called(driver.cuMemcpyHtoDAsync(target.address, source.ctypes.data, source.nbytes, stream.raw))

    def download(self, target: Array, source: Memory, stream: Stream) -> None:
        """See `Device`."""
        assert isinstance(stream, BindingsStream)  # noqa: S101
        with _as_engine_error(f"{target.nbytes:,} bytes could not be downloaded"):
            _called(driver.cuMemcpyDtoHAsync(target.ctypes.data, source.address, target.nbytes, stream.raw))

    def kernel(self, source: str, name: str) -> BindingsKernel:
        """See `Device`."""
        if (source, name) not in self._kernels:
            self._kernels[source, name] = load_kernels(
                source, self.gpu, self._cache_dir, lambda code: self._loaded(code, name)
            )
        return self._kernels[source, name]

    def capture(self, stream: Stream, work: Callable[[], None]) -> Graph | None:
        """See `Device`."""
        assert isinstance(stream, BindingsStream)  # noqa: S101
        try:
            _called(driver.cuStreamBeginCapture(stream.raw, THREAD_LOCAL))
        except CudaCallError:
            return None
        whole = False
        try:
            with suppress(EngineError):  # something in it may not be captured
                work()
                whole = True
        finally:
            code, graph = driver.cuStreamEndCapture(stream.raw)  # also where it failed: else it goes on
        if int(code):
            return None
        if not whole:
            driver.cuGraphDestroy(graph)
            return None
        try:
            return BindingsGraph(self, graph)
        except CudaCallError:
            return None

    @contextmanager
    def current(self) -> Iterator[None]:
        """See `Device`."""
        with _as_engine_error("the GPU's context is gone"):
            _called(driver.cuCtxPushCurrent(self._context))
        try:
            yield
        finally:
            driver.cuCtxPopCurrent()

    def memory_info(self) -> tuple[int, int]:
        """Return the free and total bytes of the device's memory. Raises `EngineError`."""
        code, free, total = driver.cuMemGetInfo()
        if int(code):
            raise EngineError(f"the GPU does not say how much memory is free ({code.name}); see nvidia-smi")
        return int(free), int(total)

    def free_bytes(self) -> int:
        """See `Device`."""
        return self.memory_info()[0]

    def when_gone(self, owner: Any, give_back: Callable[[Any], Any], handle: Any) -> Callable[[], object]:
        """Have the driver take `handle` back when `owner` is gone, or when what this gives is called.

        Owners die in whatever thread, so the context is made current around it; its error is of no use.
        """
        final = weakref.finalize(owner, self._give_back, give_back, handle)
        final.atexit = False  # the context's end at exit takes everything
        return final

    def _give_back(self, give_back: Callable[[Any], Any], handle: Any) -> None:
        if not self._released:
            driver.cuCtxPushCurrent(self._context)
            give_back(handle)
            driver.cuCtxPopCurrent()

    def _loaded(self, code: bytes, name: str) -> BindingsKernel:
        try:
            return BindingsKernel(self, code, name)
        except CudaCallError as exc:
            raise ModelError(f"the driver does not load the kernel {name} ({exc})") from exc

    def _release(self) -> None:
        if not self._released:
            self._released = True
            driver.cuDevicePrimaryCtxRelease(self._device)
