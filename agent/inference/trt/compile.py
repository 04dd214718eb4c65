"""CUDA C++ to machine code of one GPU: NVRTC (a library) where it is here, else nvcc (a program).

Machine code, not PTX: what a newer toolkit writes as PTX an older driver does not read.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.errors import ModelError
from agent.inference.files.disk import write_whole

TOOLKIT = Path(os.environ.get("CUDA_HOME", "/usr/local/cuda"))
INSTALL = (
    "install one of them (a Jetson: apt install cuda-nvrtc-12-6 or cuda-nvcc-12-6, elsewhere: pip install "
    'nvidia-cuda-nvrtc), or set recognition.tensorrt.frames to "cpu"'
)


def compiled(source: str, capability: tuple[int, int], cache_dir: Path) -> bytes:
    """A cubin; from the cache folder if it was compiled before. Raises `ModelError`: neither is here."""
    target = f"sm_{capability[0]}{capability[1]}"
    name = hashlib.sha256(f"{target}\n{source}".encode()).hexdigest()[:16]
    path = cache_dir / "kernels" / f"{target}-{name}.cubin"
    if path.is_file():
        return path.read_bytes()
    made = compile_here(source, target)
    write_whole(path, made)
    return made


def compile_here(source: str, target: str) -> bytes:
    """With whatever compiler is here. Raises `ModelError` with its words when it refuses the source."""
    nvrtc = next(_nvrtcs(), None)
    if nvrtc is not None:
        return with_nvrtc(nvrtc, source, target)
    nvcc = shutil.which("nvcc", path=f"{os.environ.get('PATH', '')}:{TOOLKIT}/bin")
    if nvcc is None:
        raise ModelError(f"cutting frames on the GPU needs NVRTC or nvcc, neither is here; {INSTALL}")
    return with_nvcc(nvcc, source, target)


def with_nvrtc(nvrtc: Any, source: str, target: str) -> bytes:
    """`nvrtc` is the loaded library."""
    program = ctypes.c_void_p()
    made = nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"cuts.cu", 0, None, None)
    if made:
        raise ModelError(f"NVRTC does not start (error {made}); reinstall it, or {INSTALL}")
    try:
        options = (ctypes.c_char_p * 2)(f"--gpu-architecture={target}".encode(), b"--fmad=false")
        if nvrtc.nvrtcCompileProgram(program, len(options), options):
            said = _bytes_of(nvrtc, program, "ProgramLog").decode(errors="replace").strip()
            raise _refused("NVRTC", target, said.rstrip("\0"))
        return _bytes_of(nvrtc, program, "CUBIN")
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def with_nvcc(nvcc: str, source: str, target: str) -> bytes:
    """`nvcc` is the program; it needs a C++ compiler beside it."""
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
    """NVRTC of the system, of the toolkit, of a Python package."""
    site = Path(sysconfig.get_path("platlib")) / "nvidia"
    places = [ctypes.util.find_library("nvrtc")]
    for folder in (TOOLKIT / "lib64", *sorted(site.glob("*/lib"))):
        places += [str(path) for path in sorted(folder.glob("libnvrtc.so*"))]
    for place in filter(None, places):
        try:
            yield ctypes.CDLL(place)
        except OSError:
            continue  # the next one
