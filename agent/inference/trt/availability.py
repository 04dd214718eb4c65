"""Availability of TensorRT on this machine, for `backend = "auto"`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from agent.errors import ModelError
from agent.inference.trt.driver import Gpu, find_gpu
from agent.inference.trt.library import Library, find_library, first_line

INSTALL_PYCUDA = (  # PyCUDA finds the CUDA libraries beside nvcc: with the headers' path alone linking fails
    "PATH=/usr/local/cuda/bin:$PATH pip install pycuda"
)


@dataclass(frozen=True, slots=True)
class Availability:
    """Result of the check; `why` names what is present or missing, `todo` is the remedy.

    `unused` is a GPU that is present but cannot be used, which is worth a warning.
    """

    usable: bool
    why: str
    todo: str = ""
    unused: Gpu | None = None


@cache
def tensorrt_availability() -> Availability:
    """Return the availability, checked once per process: a GPU does not appear while it runs."""
    return judge(find_gpu, find_library, load_pycuda)


def judge(
    gpu: Callable[[], Gpu], library: Callable[[], Library], load_binding: Callable[[], None]
) -> Availability:
    """Check for a GPU, TensorRT and PyCUDA, in the order of what is most often missing.

    Each is really loaded: an installed package that fails to load would end the start later.
    """
    found: Gpu | None = None
    try:
        found = gpu()
        trt = library()
        check_driver(found, trt)
        load_binding()
    except ModelError as exc:
        why, _, todo = str(exc).partition("; ")
        return Availability(False, f"{found.label} is here, but {why}" if found else why, todo, unused=found)
    return Availability(True, f"{trt.label} on {found.label}")


def load_pycuda() -> None:
    """Import PyCUDA. Raises `ModelError` with the reason and how to install it."""
    try:
        import_module("pycuda.driver")
    except ModuleNotFoundError as exc:
        raise ModelError(f"PyCUDA is not installed ({first_line(exc)}); {INSTALL_PYCUDA}") from exc
    except Exception as exc:  # libcuda or a shared object is missing or of another version: many kinds
        raise ModelError(f"PyCUDA does not load ({first_line(exc)}); {INSTALL_PYCUDA}") from exc


def check_driver(gpu: Gpu, library: Library) -> None:
    """Raise `ModelError` when the driver is older than the CUDA version of the library."""
    needs = library.made_for_cuda
    if needs and gpu.cuda[0] < needs:
        raise ModelError(
            f"the NVIDIA driver is too old: it speaks CUDA {gpu.cuda[0]}.{gpu.cuda[1]}, {library.label} was "
            f"made for CUDA {needs}; update the driver, or install the package for CUDA {gpu.cuda[0]}"
        )
