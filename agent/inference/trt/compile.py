"""Compilation of CUDA C++ to machine code of one GPU, with NVRTC (a library) or nvcc (a program).

Machine code, not PTX: an older driver does not read the PTX of a newer toolkit.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import json
import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from agent.errors import ModelError
from agent.inference.files.disk import receipt_of, write_whole
from agent.inference.trt.driver import Gpu

Loaded = TypeVar("Loaded")

UNNAMED_CUDA = 13  # from here on NVIDIA's packages on PyPI do not have the version in their names
TOOLKIT = Path(os.environ.get("CUDA_HOME", "/usr/local/cuda"))


@dataclass(frozen=True, slots=True, eq=False)
class Compiler:
    """An installed CUDA compiler. `version` distinguishes its machine code from that of others."""

    name: str  # "NVRTC", "nvcc"
    version: str  # such as 12.6
    compile: Callable[[str, str], bytes]  # source, target -> cubin; raises `ModelError`


def load_kernels(
    source: str,
    gpu: Gpu,
    cache_dir: Path,
    load: Callable[[bytes], Loaded],
    compilers: Iterable[Compiler] | None = None,
) -> Loaded:
    """Compile kernels for this GPU and return what `load` makes of the cubin; cached by compiler and version.

    `compilers` are tried in order, until one compiles the source and `load` takes the result (else it raises
    `ModelError`). Compilers with a major version above the driver's are skipped, because an older driver
    does not load their code. A cached cubin that does not load is removed and compiled again. Raises
    `ModelError` with the message of each compiler.
    """
    target = f"sm_{gpu.capability[0]}{gpu.capability[1]}"
    tried: list[str] = []
    for compiler in compilers_here() if compilers is None else compilers:
        if int(compiler.version.partition(".")[0]) > gpu.cuda[0]:
            tried.append(
                f"{compiler.name} {compiler.version} is newer than the driver, which speaks CUDA "
                f"{gpu.cuda[0]}.{gpu.cuda[1]}"
            )
            continue
        key = f"{target}\n{compiler.name} {compiler.version}\n{source}".encode()
        path = cache_dir / "kernels" / f"{target}-{hashlib.sha256(key).hexdigest()[:16]}.cubin"
        try:
            if (code := kept(path)) is not None:
                with suppress(ModelError):
                    return load(code)
                throw_away(path)
            code = compiler.compile(source, target)
            loaded = load(code)
        except ModelError as exc:
            tried.append(str(exc))
            continue
        keep(path, code, compiler)
        return loaded
    said = "; ".join(tried) or "neither is here"
    raise ModelError(
        f"cutting frames on the GPU needs NVRTC or nvcc: {said}; {how_to_install(gpu)}, or set "
        'recognition.tensorrt.frames to "cpu"'
    )


def how_to_install(gpu: Gpu) -> str:
    """Return the command that installs an NVRTC whose code the driver loads."""
    major, minor = gpu.cuda
    if gpu.integrated:
        return f"apt install cuda-nvrtc-{major}-{minor}"
    package = f"nvidia-cuda-nvrtc-cu{major}" if major < UNNAMED_CUDA else f"nvidia-cuda-nvrtc<{major + 1}"
    return f"pip install '{package}'"


def kept(path: Path) -> bytes | None:
    """Return the cached cubin; None where there is none, or its receipt does not match."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if receipt_of(path).get("sha256") == hashlib.sha256(content).hexdigest() else None


def keep(path: Path, code: bytes, compiler: Compiler) -> None:
    """Write a cubin and its receipt to the cache."""
    write_whole(path, code)
    receipt = {"sha256": hashlib.sha256(code).hexdigest(), "compiler": f"{compiler.name} {compiler.version}"}
    write_whole(path.with_suffix(".json"), json.dumps(receipt).encode())


def throw_away(path: Path) -> None:
    """Remove a cubin that the driver does not load."""
    path.unlink(missing_ok=True)
    path.with_suffix(".json").unlink(missing_ok=True)


def compilers_here() -> Iterator[Compiler]:
    """Return every NVRTC and nvcc of this machine, in the order of preference."""
    for nvrtc in _nvrtcs():
        major, minor = ctypes.c_int(), ctypes.c_int()
        if not nvrtc.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)):
            yield Compiler("NVRTC", f"{major.value}.{minor.value}", partial(with_nvrtc, nvrtc))
    nvcc = shutil.which("nvcc", path=f"{os.environ.get('PATH', '')}:{TOOLKIT}/bin")
    if nvcc is not None and (version := nvcc_version(nvcc)):
        yield Compiler("nvcc", version, partial(with_nvcc, nvcc))


def nvcc_version(nvcc: str) -> str:
    """Return the version of nvcc, such as 12.6; empty where it does not run."""
    try:
        done = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    found = re.search(r"release (\d+\.\d+)", done.stdout)
    return found.group(1) if found else ""


def with_nvrtc(nvrtc: Any, source: str, target: str) -> bytes:
    """Compile CUDA source for a target such as "sm_87" with NVRTC; return the machine code.

    Raises `ModelError` with the compiler's text.
    """
    program = ctypes.c_void_p()
    made = nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"cuts.cu", 0, None, None)
    if made:
        raise ModelError(f"NVRTC does not start (error {made}); reinstall it")
    try:
        options = (ctypes.c_char_p * 2)(f"--gpu-architecture={target}".encode(), b"--fmad=false")
        if nvrtc.nvrtcCompileProgram(program, len(options), options):
            said = _bytes_of(nvrtc, program, "ProgramLog").decode(errors="replace").strip()
            raise _refused("NVRTC", target, said.rstrip("\0"))
        return _bytes_of(nvrtc, program, "CUBIN")
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def with_nvcc(nvcc: str, source: str, target: str) -> bytes:
    """Build a `Compiler` from an nvcc program, which needs a C++ compiler beside it."""
    with tempfile.TemporaryDirectory() as folder:
        text, made = Path(folder) / "cuts.cu", Path(folder) / "cuts.cubin"
        text.write_text(source, encoding="utf-8")
        command = [nvcc, "--cubin", f"-arch={target}", "--fmad=false", "-o", str(made), str(text)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise _refused("nvcc", target, done.stderr or done.stdout)
        return made.read_bytes()


def _refused(compiler: str, target: str, said: str) -> ModelError:
    return ModelError(
        f"{compiler} cannot compile for {target}: {' '.join(said.split())}; it may be too old or too new "
        'for this GPU: install another one, or set recognition.tensorrt.frames to "cpu"'
    )


def _bytes_of(nvrtc: Any, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    nvrtc[f"nvrtcGet{what}Size"](program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    nvrtc[f"nvrtcGet{what}"](program, text)
    return text.raw


def _nvrtcs() -> Iterator[Any]:
    """NVRTC of the system, of the toolkit, and of Python packages."""
    site = Path(sysconfig.get_path("platlib")) / "nvidia"
    places = [ctypes.util.find_library("nvrtc")]
    for folder in (TOOLKIT / "lib64", *sorted(site.glob("*/lib"))):
        places += [str(path) for path in sorted(folder.glob("libnvrtc.so*"))]
    for place in filter(None, places):
        try:
            yield ctypes.CDLL(place)
        except OSError:
            continue  # try the next one
