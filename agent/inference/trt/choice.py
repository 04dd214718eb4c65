"""Can TensorRT be used here, and if not, why: what `backend = "auto"` asks."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from agent.errors import ModelError
from agent.inference.trt.driver import Gpu, find_gpu
from agent.inference.trt.library import Library, find_library


@dataclass(frozen=True, slots=True)
class Choice:
    """`why` is one clause: what is here, or what is missing; `todo` is what would mend that."""

    usable: bool
    why: str
    todo: str = ""


@cache
def tensorrt_here() -> Choice:
    """Asked once for a process: a GPU does not come while it runs."""
    return judge(find_gpu, find_library)


def judge(
    gpu: Callable[[], Gpu], library: Callable[[], Library], pycuda: Callable[[], bool] | None = None
) -> Choice:
    """A GPU, TensorRT and PyCUDA are needed, in the order of what is most often missing."""
    try:
        found = gpu()
        trt = library()
        check_driver(found, trt)
    except ModelError as exc:
        why, _, todo = str(exc).partition("; ")
        return Choice(False, why, todo)
    if not (pycuda or _has_pycuda)():
        return Choice(
            False, f"{trt.label} and {found.label} are here, but PyCUDA is not", "pip install pycuda"
        )
    return Choice(True, f"{trt.label} on {found.label}")


def check_driver(gpu: Gpu, library: Library) -> None:
    """Raises `ModelError` when the driver is older than the CUDA that the library was made for."""
    needs = library.made_for_cuda
    if needs and gpu.cuda[0] < needs:
        raise ModelError(
            f"the NVIDIA driver is too old: it speaks CUDA {gpu.cuda[0]}.{gpu.cuda[1]}, {library.label} was "
            f"made for CUDA {needs}; update the driver, or install the package for CUDA {gpu.cuda[0]}"
        )


def _has_pycuda() -> bool:
    return importlib.util.find_spec("pycuda") is not None
