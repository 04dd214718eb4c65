"""Installed TensorRT library and its features, which are detected instead of derived from the version.

`tensorrt` is looked for first, then TensorRT for RTX, which has the same Python API.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module, metadata
from typing import Any

from agent.errors import ModelError

NAMES = ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings")
FIRST_CAPABILITY = 10  # smaller members of the enum ComputeCapability are no GPUs: NONE, CURRENT
INSTALL = (
    "on a Jetson it comes with JetPack (make the virtual environment with --system-site-packages), elsewhere "
    "pip install 'gesture-agent[tensorrt]' or 'gesture-agent[tensorrt-rtx]'"
)


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """A TensorRT library. `trt` is its module."""

    trt: Any
    rtx: bool

    @property
    def version(self) -> str:
        """Version, such as 10.3.0."""
        return str(self.trt.__version__)

    @property
    def major(self) -> int:
        """Such as 10."""
        return int(self.version.partition(".")[0])

    @property
    def label(self) -> str:
        """Name and version, for messages and for the keys of plans: a plan is valid for one version only."""
        return f"TensorRT {'for RTX ' if self.rtx else ''}{self.version}"

    @property
    def has_precision_flags(self) -> bool:
        """True up to version 10, where the builder picks the precision; later the network states it."""
        return hasattr(self.trt.BuilderFlag, "FP16")

    @property
    def builds_without_gpu(self) -> bool:
        """True for TensorRT for RTX, which completes plans on the target machine.

        Others time kernels on a GPU.
        """
        return self.rtx

    @property
    def compiles_at_run_time(self) -> bool:
        """True for TensorRT for RTX, which compiles kernels at the first run and can cache them."""
        return self.rtx and hasattr(self.trt, "CudaGraphStrategy")

    @property
    def capabilities(self) -> tuple[tuple[int, int], ...]:
        """Compute capabilities that it names; empty where it runs on all that its CUDA supports."""
        if not self.rtx or not hasattr(self.trt, "ComputeCapability"):
            return ()
        numbers = [int(member) for member in self.trt.ComputeCapability.__members__.values()]
        return tuple(divmod(number, 10) for number in sorted(numbers) if number >= FIRST_CAPABILITY)

    def doubt(self, capability: tuple[int, int]) -> str | None:
        """What speaks against a GPU of this compute capability; None where nothing does."""
        if not self.capabilities or capability in self.capabilities:
            return None
        named = ", ".join(f"{major}.{minor}" for major, minor in self.capabilities)
        return (
            f"{self.label} is made for compute capability {named}, this GPU has "
            f"{'.'.join(map(str, capability))}; where networks do not run, install tensorrt instead"
        )

    @property
    def made_for_cuda(self) -> int | None:
        """CUDA major version of the package; None where it is no Python package."""
        stem = "tensorrt-rtx" if self.rtx else "tensorrt"
        for major in range(20, 10, -1):
            try:
                metadata.version(f"{stem}-cu{major}-libs")
            except metadata.PackageNotFoundError:
                continue
            return major
        return None


def created(factory: Callable[[], Any]) -> Any | None:
    """Call a factory of the bindings; return None on failure.

    A `Builder`, `Runtime` or `OnnxParser` that cannot start (no device, no memory, a driver too old) raises
    `TypeError: factory function returned nullptr` in every version from 8.6 to 11; others return None.
    """
    try:
        return factory()
    except TypeError as exc:
        if "nullptr" not in str(exc):
            raise
        return None


def find_library(names: tuple[str, ...] = NAMES) -> Library:
    """Import the first available library. Raises `ModelError` with what was tried."""
    tried = []
    for name in names:
        try:
            module = import_module(name)
        except (ImportError, OSError, RuntimeError) as exc:  # not installed; a library or a driver is missing
            tried.append(f"{name}: {first_line(exc)}")
            continue
        return checked(module, rtx=name.startswith("tensorrt_rtx"))
    raise ModelError(f"TensorRT is not installed here ({'; '.join(tried)}); {INSTALL}")


def checked(module: Any, *, rtx: bool) -> Library:
    """Return the library. Raises `ModelError` for a version without named tensors (before 8.5)."""
    library = Library(module, rtx)
    needed = {"ICudaEngine": "num_io_tensors", "IExecutionContext": "execute_async_v3"}
    if lacking := [
        f"{cls}.{name}" for cls, name in needed.items() if not hasattr(getattr(module, cls), name)
    ]:
        raise ModelError(
            f"{library.label} is too old, it has no {', '.join(lacking)}; "
            "8.6 to 11 are supported (JetPack 6 on)"
        )
    return library


def first_line(exc: BaseException) -> str:
    """Return the first line of an error's text, or its type where it has none."""
    text = str(exc).strip()
    return text.splitlines()[0] if text else type(exc).__name__
