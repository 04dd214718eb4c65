"""A GPU whose memory is the host's: addresses are real, kernels are the real source compiled with g++.

It counts what is allocated, can be full, and refuses a copy that would run over the end of a piece of memory.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.errors import EngineError, ModelError
from agent.inference.trt.driver import Gpu

HERE = Path(__file__).parent
GPU = Gpu("NVIDIA Test", (8, 7), 8_000_000_000, (12, 6))


class HostMemory:
    def __init__(self, device: HostDevice, nbytes: int) -> None:
        self._device, self.nbytes = device, nbytes
        self._bytes: Any = np.full(nbytes, 0xAB, np.uint8)
        self.address = int(self._bytes.ctypes.data)

    def free(self) -> None:
        if self._bytes is not None:
            self._device.demand_current()
            self._device.used -= self.nbytes
            self._device.live -= 1
            self._device.sizes.pop(self.address, None)
            self._bytes = None


class HostStream:
    def __init__(self, number: int) -> None:
        self.handle = number
        self.broken: str | None = None
        self.synchronized = 0

    def synchronize(self) -> None:
        self.synchronized += 1
        if self.broken:
            raise EngineError(self.broken)

    def after(self, other: Any) -> None:
        assert isinstance(other, HostStream)


class HostKernel:
    def __init__(self, launch: Any) -> None:
        self._launch = launch

    def launch(self, grid: Any, block: Any, arguments: Sequence[Any], _stream: Any) -> None:
        sizes = [(ctypes.c_int * 3)(*three) for three in (grid, block)]
        kinds = {np.int32: ctypes.c_int, np.float32: ctypes.c_float}
        given = [ctypes.c_void_p(a) if isinstance(a, int) else kinds[type(a)](a.item()) for a in arguments]
        self._launch(*sizes, *given)


class HostDevice:
    """`strict`: as with PyCUDA, nothing works in a thread where the device is not `current`."""

    def __init__(self, limit: int = GPU.memory_bytes, *, strict: bool = False) -> None:
        self.gpu, self.limit, self.strict = GPU, limit, strict
        self._here = threading.local()
        self.used = self.live = self.allocations = self.uploads = self.entered = 0
        self.streams: list[HostStream] = []
        self.sizes: dict[int, int] = {}  # bytes by address, of memory that was not given back

    def bytes_at(self, address: int) -> int:
        return self.sizes.get(address, 0)

    def demand_current(self) -> None:
        assert not self.strict or getattr(self._here, "depth", 0) > 0, (
            "the device is not current in this thread"
        )

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
        self.allocations += 1
        return np.zeros(shape, dtype)

    def stream(self) -> HostStream:
        self.demand_current()
        self.streams.append(HostStream(len(self.streams) + 1))
        return self.streams[-1]

    def upload(self, target: Any, source: Any, _stream: Any) -> None:
        self.demand_current()
        assert source.flags.c_contiguous
        assert source.nbytes <= target.nbytes
        self.uploads += 1
        ctypes.memmove(target.address, source.ctypes.data, source.nbytes)

    def download(self, target: Any, source: Any, _stream: Any) -> None:
        self.demand_current()
        assert target.flags.c_contiguous
        assert target.nbytes <= source.nbytes
        ctypes.memmove(target.ctypes.data, source.address, target.nbytes)

    def kernel(self, source: str, name: str) -> HostKernel:
        assert name == "cut_and_normalise"
        return HostKernel(compiled_for_host(source).launch)

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
