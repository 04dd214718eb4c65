"""A GPU whose memory is the host's: addresses are real, kernels are the real source compiled with g++.

As on a real one a stream's work is done when somebody waits for it: copies from pinned memory see what is
there then. It counts what is allocated, can be full, refuses a copy that would run over the end of a piece of
memory, and captures what is asked of a stream.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.errors import EngineError, ModelError
from agent.inference.trt.driver import Gpu

HERE = Path(__file__).parent
Work = Callable[[], Any]
GPU = Gpu("NVIDIA Test", (8, 7), 8_000_000_000, (12, 6))


class HostMemory:
    def __init__(self, device: HostDevice, nbytes: int) -> None:
        self._device, self.nbytes = device, nbytes
        self._bytes: Any = np.full(nbytes, 0xAB, np.uint8)
        self.address = int(self._bytes.ctypes.data)

    def free(self) -> None:
        if self._bytes is not None:
            self._device.demand_current()
            self._device.finish()
            self._device.used -= self.nbytes
            self._device.live -= 1
            self._device.sizes.pop(self.address, None)
            self._bytes = None


class HostStream:
    def __init__(self, number: int) -> None:
        self.handle = number
        self.broken: str | None = None
        self.synchronized = 0
        self.captured: list[Work] | None = None  # while it captures
        self._asked: deque[Work] = deque()
        self._count = self._done = 0

    def ask(self, work: Work) -> None:
        if self.captured is not None:
            self.captured.append(work)
            return
        self._asked.append(work)
        self._count += 1

    def work(self, until: int | None = None) -> None:
        while self._asked and (until is None or self._done < until):
            self._asked.popleft()()
            self._done += 1

    def synchronize(self) -> None:
        assert self.captured is None, "a stream that captures cannot be waited for"
        self.synchronized += 1
        self.work()
        if self.broken:
            raise EngineError(self.broken)

    def after(self, other: Any) -> None:
        assert isinstance(other, HostStream)
        assert self.captured is None, "a capture cannot wait for what is outside of it"
        until = other._count
        self.ask(lambda: other.work(until))


class HostKernel:
    def __init__(self, launch: Any) -> None:
        self._launch = launch

    def launch(self, grid: Any, block: Any, arguments: Sequence[Any], stream: Any) -> None:
        sizes = [(ctypes.c_int * 3)(*three) for three in (grid, block)]
        values = [np.array(np.uint64(a) if isinstance(a, int) else a) for a in arguments]
        given = (ctypes.c_void_p * len(values))(*(value.ctypes.data for value in values))
        stream.ask(lambda _alive=values: self._launch(*sizes, given))


class HostGraph:
    def __init__(self, work: list[Work]) -> None:
        self._work = work
        self.launched = 0

    def launch(self, stream: Any) -> None:
        self.launched += 1
        for work in self._work:
            stream.ask(work)


class HostDevice:
    """`strict`: as with a real driver, nothing works in a thread where the device is not `current`."""

    def __init__(
        self, limit: int = GPU.memory_bytes, *, strict: bool = False, refuses_pinned: bool = False
    ) -> None:
        self.gpu, self.limit, self.strict, self.refuses_pinned = GPU, limit, strict, refuses_pinned
        self._here = threading.local()
        self.used = self.live = self.allocations = self.uploads = self.entered = 0
        self.streams: list[HostStream] = []
        self.sizes: dict[int, int] = {}  # bytes by address, of memory that was not given back
        self.has_graphs = True
        self.graphs: list[HostGraph] = []
        self._pinned: list[tuple[int, int]] = []
        self._kept: list[Any] = []

    def bytes_at(self, address: int) -> int:
        return self.sizes.get(address, 0)

    def demand_current(self) -> None:
        assert not self.strict or getattr(self._here, "depth", 0) > 0, (
            "the device is not current in this thread"
        )

    def finish(self) -> None:
        for stream in self.streams:
            stream.work()

    def memory(self, nbytes: int) -> HostMemory:
        self.demand_current()
        if self.used + nbytes > self.limit:
            raise ModelError(f"the GPU's memory is full: {nbytes:,} bytes did not fit")
        self.used += nbytes
        self.live += 1
        self.allocations += 1
        memory = HostMemory(self, nbytes)
        self.sizes[memory.address] = nbytes
        return memory

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> Any:
        self.demand_current()
        if self.refuses_pinned:
            raise ModelError(f"no pinned memory for {shape}")
        self.allocations += 1
        array = np.zeros(shape, dtype)
        self._pinned.append((array.ctypes.data, array.ctypes.data + array.nbytes))
        self._kept.append(array)  # its address stays its own
        return array

    def is_pinned(self, array: Any) -> bool:
        first, last = array.ctypes.data, array.ctypes.data + array.nbytes
        return any(low <= first and last <= high for low, high in self._pinned)

    def stream(self) -> HostStream:
        self.demand_current()
        self.streams.append(HostStream(len(self.streams) + 1))
        return self.streams[-1]

    def upload(self, target: Any, source: Any, stream: Any) -> None:
        self.demand_current()
        assert source.flags.c_contiguous
        assert source.nbytes <= target.nbytes
        self.uploads += 1
        kept = None  # of page-locked memory a driver knows the address only
        if not self.is_pinned(source):
            assert stream.captured is None, "a copy from pageable memory cannot be captured"
            source = kept = source.copy()
        to, at, count = target.address, source.ctypes.data, source.nbytes
        stream.ask(lambda _alive=kept: ctypes.memmove(to, at, count))

    def download(self, target: Any, source: Any, stream: Any) -> None:
        self.demand_current()
        assert target.flags.c_contiguous
        assert target.nbytes <= source.nbytes
        at, count = source.address, target.nbytes
        stream.ask(lambda: ctypes.memmove(target.ctypes.data, at, count))
        if not self.is_pinned(target):
            assert stream.captured is None, "a copy to pageable memory cannot be captured"
            stream.work()

    def kernel(self, source: str, name: str) -> HostKernel:
        assert name == "cut_and_normalise"
        return HostKernel(compiled_for_host(source).launch)

    def capture(self, stream: Any, work: Work) -> HostGraph | None:
        self.demand_current()
        if not self.has_graphs:
            return None
        stream.captured = []
        try:
            work()
        except EngineError:
            return None
        else:
            self.graphs.append(HostGraph(stream.captured))
            return self.graphs[-1]
        finally:
            stream.captured = None

    def ask(self, handle: int, work: Work) -> None:
        """For a network's double, which is told a stream's handle."""
        self.streams[handle - 1].ask(work)

    def is_capturing(self, handle: int) -> bool:
        return self.streams[handle - 1].captured is not None

    @contextmanager
    def current(self) -> Iterator[None]:
        self.entered += 1
        self._here.depth = getattr(self._here, "depth", 0) + 1
        try:
            yield
        finally:
            self._here.depth -= 1

    def free_bytes(self) -> int:
        return self.limit - self.used


@cache
def compiled_for_host(source: str) -> Any:
    """The kernel's own source as a library of this machine."""
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler here to compile the kernels for the CPU (apt install g++)")
    folder = Path(tempfile.mkdtemp(prefix="kernels-"))
    text = "\n".join([(HERE / "host.h").read_text(), source, (HERE / "host_launch.h").read_text()])
    (folder / "cuts.cpp").write_text(text, encoding="utf-8")
    command = [compiler, "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([*command, "-o", str(folder / "cuts.so"), str(folder / "cuts.cpp")], check=True)
    library = ctypes.CDLL(str(folder / "cuts.so"))
    shutil.rmtree(folder)  # the library stays loaded
    return library
