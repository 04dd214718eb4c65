"""Shared state of all networks on one GPU: library, device, uploaded frames, plan folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import platformdirs

from agent.inference.trt.availability import check_driver
from agent.inference.trt.bindings import find_binding
from agent.inference.trt.device import Device
from agent.inference.trt.driver import find_gpu
from agent.inference.trt.library import Library, find_library
from agent.inference.trt.upload_cache import FrameUploadCache


@dataclass(frozen=True, slots=True, eq=False)
class GpuContext:
    """One GPU with its TensorRT library."""

    library: Library
    device: Device
    uploads: FrameUploadCache
    cache_dir: Path


def default_context(cache_dir: Path | None) -> GpuContext:
    """That of this process. Raises `ModelError`: no driver, GPU, TensorRT or package that reaches them."""
    return _context(cache_dir or platformdirs.user_cache_path("gesture-agent"))


@cache
def _context(cache_dir: Path) -> GpuContext:
    gpu = find_gpu()
    library = find_library()
    check_driver(gpu, library)
    device = find_binding(gpu).open(cache_dir)
    with device.current():
        return GpuContext(library, device, FrameUploadCache(device), cache_dir)
