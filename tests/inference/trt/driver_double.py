"""A driver of the tests' own, for programs that are run against it with the real packages for CUDA.

`libcuda_double.c` is what they load as libcuda, and an nvcc beside it compiles kernels for this machine.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
NVCC = """#!/bin/sh
# Called as --cubin -arch=sm_87 --fmad=false -o MADE SOURCE. What goes wrong in the kernel ends the program.
[ "$1" = --version ] && echo "release 12.6, V12.6.85" && exit
cat '{here}/host.h' "$6" '{here}/host_launch.h' > "$6.cpp"
exec g++ -std=c++17 -O1 -ffp-contract=off -Wall -Wextra -Werror -fsanitize=undefined \\
  -fno-sanitize-recover=all -shared -fPIC -o "$5" "$6.cpp"
"""
# PyCUDA names more functions than the double has; looked up lazily, only those that are called are missed.
TENSORRT = """
import os
import numpy as np
from driver_double import Streams
from tensorrt_double import Behaviour, double
behaviour = Behaviour()
behaviour.streams, behaviour.gpu = Streams(), "Orin"
behaviour.bytes_at = lambda address: 1 << 40  # not what is asked here
behaviour.refuses_plans = "REFUSES" in os.environ
behaviour.capability = 87
if "NAN" in os.environ:
    behaviour.gives = lambda array: array * np.float32(np.nan)
globals().update(vars(double("{version}", behaviour)))
"""
PRELUDE = """
import gc, os, sys, threading
sys.setdlopenflags(os.RTLD_LAZY)
from pathlib import Path
import numpy as np
from agent.errors import EngineError, ModelError
from agent.inference.trt.bindings import BINDINGS, find_binding
from agent.inference.trt.driver import find_gpu
"""


@dataclass(frozen=True)
class Ran:
    """What a program said, and what it left on the device: kind -> count, and function -> calls."""

    code: int
    said: str
    errors: str
    left: dict[str, int]
    calls: dict[str, int]

    @property
    def fell(self) -> bool:
        """Whether it touched what is not its own."""
        return self.code == -signal.SIGSEGV


class DriverDouble:
    """The folder of a driver that programs find first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (shutil.which("gcc") and shutil.which("g++")):
            pytest.skip("no C and C++ compiler here to make a driver of (apt install gcc g++)")
        source = HERE / "libcuda_double.c"
        self.library = folder / "libcuda.so.1"
        made = ["gcc", "-shared", "-fPIC", "-Wall", "-Wextra", "-O1", "-o", str(self.library), str(source)]
        subprocess.run([*made, "-ldl", "-lpthread"], check=True)
        nvcc = folder / "nvcc"
        nvcc.write_text(NVCC.format(here=HERE))
        nvcc.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """Of a program that finds this driver and its compiler before all others."""
        return os.environ | {
            "LD_LIBRARY_PATH": str(self.folder),
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "CUDA_HOME": str(self.folder),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }

    def with_tensorrt(
        self, folder: Path, module: str = "tensorrt", version: str = "10.13.0"
    ) -> dict[str, str]:
        """The same, of one that imports TensorRT's double as well: a module written to `folder`."""
        (folder / f"{module}.py").write_text(TENSORRT.replace("{version}", version))
        return self.environment | {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}

    def run(self, program: str, **environment: str) -> Ran:
        """A program of Python, in a process of its own."""
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        given = self.environment | {"DOUBLE_REPORT": str(report)}
        done = subprocess.run(
            [sys.executable, "-c", PRELUDE + program],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env=given | environment,
        )
        told = json.loads(report.read_text()) if report.exists() else {"left": {}, "calls": {}}
        return Ran(done.returncode, done.stdout, done.stderr, told["left"], told["calls"])


class Streams:
    """Lets TensorRT's double work on streams of the driver's double, in the process that has loaded it."""

    def __init__(self) -> None:
        self._driver = ctypes.CDLL("libcuda.so.1")
        self._kept: list[Any] = []  # callbacks that graphs may still call

    def ask(self, handle: int, work: Callable[[], Any]) -> None:
        """Have the stream do it in its turn."""
        self._kept.append(ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: work()))
        assert self._driver.cuLaunchHostFunc(ctypes.c_void_p(handle), self._kept[-1], None) == 0

    def is_capturing(self, handle: int) -> bool:
        """Whether what is asked of the stream is recorded."""
        status = ctypes.c_int()
        assert self._driver.cuStreamIsCapturing(ctypes.c_void_p(handle), ctypes.byref(status)) == 0
        return bool(status.value)
