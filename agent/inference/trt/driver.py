"""Detection of the NVIDIA GPU through the driver: ctypes over libcuda, without other packages.

Quick and safe where there is no GPU, as `backend = "auto"` needs.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import ModelError

LIBCUDA = "libcuda.so.1"
CAPABILITY_MAJOR, CAPABILITY_MINOR, MULTIPROCESSORS, INTEGRATED = 75, 76, 16, 18  # CUdevice_attribute
POWER_MODE = Path("/var/lib/nvpmodel/status")  # power mode on a Jetson: "pmode:0002 fmode:..."
# Device nodes of a GPU: of a PC, of an Orin, of older and newer Jetsons.
NODES = ("/dev/nvidia0", "/dev/nvhost-gpu", "/dev/nvgpu", "/dev/nvhost-ctrl-gpu")
HIDDEN = "CUDA_VISIBLE_DEVICES"
NO_GPU = (
    f"no GPU is visible; is it in the machine, passed to this container, hidden by {HIDDEN}, and may the "
    "agent open its devices (group video, render)?"
)
NO_DEVICE = (100, 101)  # CUDA_ERROR_NO_DEVICE, CUDA_ERROR_INVALID_DEVICE
HINTS = {  # CUresult: remedy
    3: "the driver is being unloaded; restart the agent",
    34: "this libcuda is a stub of the CUDA toolkit, not a driver; take its folder out of LD_LIBRARY_PATH",
    35: "the driver is older than the CUDA it is asked for; update the NVIDIA driver",
    100: NO_GPU,
    101: NO_GPU,
    802: "the system is not ready (fabric manager, power state); see nvidia-smi",
    803: "kernel module and libcuda are of different versions; reboot after a driver update",
    804: "this GPU does not take the forward compatibility package; update the driver itself",
    999: "see `dmesg | grep -i nvrm`; may the agent open /dev/nvidia* or /dev/nvhost* (group video, render)",
}


class NoGpuError(ModelError):
    """Raised when no NVIDIA GPU can be used here; the text says why.

    `gpu_here` is whether there seems to be one all the same, which is worth a warning.
    """

    def __init__(self, text: str, *, gpu_here: bool = False) -> None:
        super().__init__(text)
        self.gpu_here = gpu_here


@dataclass(frozen=True, slots=True)
class Gpu:
    """Properties of the first GPU. `cuda` is the newest CUDA version that the driver supports."""

    name: str
    capability: tuple[int, int]
    memory_bytes: int
    cuda: tuple[int, int]
    multiprocessors: int = 0
    integrated: bool = False  # integrated GPU, which shares the machine's memory: a Jetson
    power_mode: str = ""  # of a Jetson, as nvpmodel numbers them; empty elsewhere

    @property
    def label(self) -> str:
        """Name and compute capability, for messages."""
        return f"{self.name} (compute capability {self.capability[0]}.{self.capability[1]})"

    @property
    def build_label(self) -> str:
        """Identifier for the keys of plans, whose kernels were timed on this GPU at these clocks.

        Every Orin, from Nano to AGX, has the same name and compute capability; a power mode disables
        multiprocessors and lowers clocks.
        """
        parts = [self.label]
        if self.multiprocessors:
            parts.append(f"{self.multiprocessors} multiprocessors")
        if self.power_mode:
            parts.append(f"power mode {self.power_mode}")
        return ", ".join(parts)


def find_gpu(libcuda: str = LIBCUDA) -> Gpu:
    """Return the first GPU. Raises `NoGpuError`: no driver, a driver that fails, no GPU."""
    try:
        cuda = ctypes.CDLL(libcuda)
    except OSError as exc:
        raise NoGpuError(
            f"no NVIDIA driver here ({exc}); install it, or set recognition.backend to onnxruntime"
        ) from exc
    _call(cuda, "cuInit", ctypes.c_uint(0))
    version, count, device = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    _call(cuda, "cuDriverGetVersion", ctypes.byref(version))
    _call(cuda, "cuDeviceGetCount", ctypes.byref(count))
    if count.value < 1:
        raise NoGpuError(f"the NVIDIA driver answers, yet {NO_GPU}", gpu_here=gpu_is_here())
    _call(cuda, "cuDeviceGet", ctypes.byref(device), ctypes.c_int(0))
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
    _call(cuda, "cuDeviceGetName", name, ctypes.c_int(256), device)
    _call(cuda, "cuDeviceTotalMem_v2", ctypes.byref(memory), device)
    return Gpu(
        name.value.decode(errors="replace"),
        (_attribute(cuda, device, CAPABILITY_MAJOR), _attribute(cuda, device, CAPABILITY_MINOR)),
        int(memory.value),
        (version.value // 1000, version.value % 1000 // 10),
        _attribute(cuda, device, MULTIPROCESSORS),
        bool(_attribute(cuda, device, INTEGRATED)),
        power_mode(),
    )


def power_mode(file: Path = POWER_MODE) -> str:
    """Return the number of a Jetson's power mode, such as "0"; empty where there is none."""
    try:
        found = re.search(r"pmode:(\d+)", file.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
    return str(int(found.group(1))) if found else ""


def gpu_is_here(nodes: Sequence[str] = NODES) -> bool:
    """Whether this machine has a GPU that nobody hides on purpose, though the driver shows none."""
    hidden = os.environ.get(HIDDEN)
    return hidden not in ("", "-1") and any(Path(node).exists() for node in nodes)


def _attribute(cuda: Any, device: ctypes.c_int, which: int) -> int:
    value = ctypes.c_int()
    _call(cuda, "cuDeviceGetAttribute", ctypes.byref(value), ctypes.c_int(which), device)
    return value.value


def _call(cuda: Any, name: str, *arguments: Any) -> None:
    code = int(getattr(cuda, name)(*arguments))
    if code:
        text = ctypes.c_char_p()
        cuda.cuGetErrorString(ctypes.c_int(code), ctypes.byref(text))
        said = (text.value or b"unknown error").decode(errors="replace")
        hint = HINTS.get(code, "see nvidia-smi")
        here = code not in NO_DEVICE or gpu_is_here()
        raise NoGpuError(f"the NVIDIA driver fails: {name} says {code}, {said}; {hint}", gpu_here=here)
