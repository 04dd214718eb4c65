"""Availability of TensorRT on this machine, for `backend = "auto"`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from agent.errors import ModelError
from agent.inference.trt.bindings import find_binding
from agent.inference.trt.driver import Gpu, NoGpuError, find_gpu
from agent.inference.trt.library import Library, find_library


@dataclass(frozen=True, slots=True)
class Availability:
    """Result of the check; `why` names what is present or missing, `todo` is the remedy.

    `unused` is a GPU that is present but cannot be used, which is worth a warning; `broken` is a driver that
    gives none although there is one.
    """

    usable: bool
    why: str
    todo: str = ""
    unused: Gpu | None = None
    broken: bool = False


@cache
def tensorrt_availability() -> Availability:
    """Asked once for a process: a GPU does not come while it runs."""
    return judge(find_gpu, find_library, find_binding)


def judge(
    gpu: Callable[[], Gpu], library: Callable[[], Library], binding: Callable[[Gpu], object]
) -> Availability:
    """A GPU, TensorRT and cuda-bindings or PyCUDA are needed, in the order of what is most often missing.

    Each is really loaded: an installed package that fails to load would end the start later.
    """
    found: Gpu | None = None
    try:
        found = gpu()
        trt = library()
        check_driver(found, trt)
        binding(found)
    except ModelError as exc:
        why, _, todo = str(exc).partition("; ")
        broken = isinstance(exc, NoGpuError) and exc.gpu_here
        text = f"{found.label} is here, but {why}" if found else why
        return Availability(False, text, todo, unused=found, broken=broken)
    return Availability(True, f"{trt.label} on {found.label}")


def check_driver(gpu: Gpu, library: Library) -> None:
    """Raise `ModelError` when the driver is older than the CUDA version of the library."""
    needs = library.made_for_cuda
    if needs and gpu.cuda[0] < needs:
        raise ModelError(
            f"the NVIDIA driver is too old: it speaks CUDA {gpu.cuda[0]}.{gpu.cuda[1]}, {library.label} was "
            f"made for CUDA {needs}; update the driver, or install the package for CUDA {gpu.cuda[0]}"
        )
