"""The Python packages that reach the GPU's driver: NVIDIA's cuda-bindings first, PyCUDA second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from agent.errors import ModelError
from agent.inference.trt.device import Device
from agent.inference.trt.driver import Gpu
from agent.inference.trt.library import first_line

# Of CUDA 12: newer drivers take it as well, and no driver that TensorRT supports is older.
INSTALL = "pip install 'cuda-bindings<13'"


@dataclass(frozen=True, slots=True)
class CudaBinding:
    """One package: `check` raises `ModelError` where it cannot be used on a GPU."""

    name: str  # as people know it
    device: str  # module:class of the agent that implements `Device` with it
    check: Callable[[Gpu], None]

    def open(self, cache_dir: Path) -> Device:
        """The first GPU through it. Raises `ModelError`."""
        module, _, name = self.device.partition(":")
        return cast("Device", getattr(import_module(module), name)(cache_dir))


def find_binding(gpu: Gpu, bindings: Sequence[CudaBinding] | None = None) -> CudaBinding:
    """The first package that really loads for this GPU's driver.

    Raises `ModelError` that says of each why it does not, and how to install the first.
    """
    said = []
    for binding in BINDINGS if bindings is None else bindings:
        try:
            binding.check(gpu)
        except ModelError as exc:
            said.append(str(exc))
        else:
            return binding
    raise ModelError(f"{', '.join(said)}; {INSTALL}")


def check_cuda_bindings(gpu: Gpu) -> None:
    """Import it and call the driver through it. Raises `ModelError`."""
    module = _imported("cuda-bindings", "cuda.bindings")
    version = str(getattr(module, "__version__", "0"))
    if int(version.partition(".")[0]) > gpu.cuda[0]:
        raise ModelError(
            f"cuda-bindings {version} is newer than the driver (CUDA {gpu.cuda[0]}.{gpu.cuda[1]})"
        )
    driver = _imported("cuda-bindings", "cuda.bindings.driver")
    try:
        (code,) = driver.cuInit(0)
    except Exception as exc:  # the symbols of libcuda are looked up at the first call: many kinds
        raise ModelError(f"cuda-bindings does not load ({first_line(exc)})") from exc
    if code:
        raise ModelError(f"cuda-bindings does not start (cuInit: {code.name})")


def check_pycuda(_gpu: Gpu) -> None:
    """Import it. Raises `ModelError`."""
    _imported("PyCUDA", "pycuda.driver")


def _imported(name: str, module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as exc:
        raise ModelError(f"{name} is not installed ({first_line(exc)})") from exc
    except Exception as exc:  # libcuda or a shared object is missing or of another version: many kinds
        raise ModelError(f"{name} does not load ({first_line(exc)})") from exc


BINDINGS = (
    CudaBinding("cuda-bindings", "agent.inference.trt.cuda_bindings:BindingsDevice", check_cuda_bindings),
    CudaBinding("PyCUDA", "agent.inference.trt.cuda:CudaDevice", check_pycuda),
)
