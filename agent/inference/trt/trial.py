"""What keeps networks off a GPU although the driver, TensorRT and their packages load: tried, for `check`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.config.settings import TensorRtSettings
from agent.errors import ModelError
from agent.inference.trt.gpu_context import GpuContext, default_context
from agent.inference.trt.gpu_cropper import GpuCropper
from agent.inference.trt.plan_builder import PlanRequest, load_checked
from agent.inference.trt.plan_requests import BuildTarget, plan_request, state_of
from agent.inference.trt.session import PlanRefusedError

ALL = "all networks"
BUILT_AGAIN = "it is built again at the start, which takes minutes"


@dataclass(frozen=True, slots=True)
class GpuTrouble:
    """One sentence; `on_cpu` is what runs on the CPU until it is mended, empty where nothing does."""

    text: str
    on_cpu: str = ""


def gpu_troubles(names: Sequence[str], cache_dir: Path, settings: TensorRtSettings) -> Iterator[GpuTrouble]:
    """What keeps networks off the GPU, or may.

    Opens the GPU, compiles the kernels and runs the self-test of every plan that is there; builds none.
    """
    try:
        context = default_context(cache_dir)
    except ModelError as exc:
        yield GpuTrouble(str(exc), ALL)
        return
    if doubt := context.library.doubt(context.device.gpu.capability):
        yield GpuTrouble(doubt)
    with context.device.current():
        if settings.frames == "gpu":
            try:
                GpuCropper(context.device, 1).close()
            except ModelError as exc:
                yield GpuTrouble(str(exc), ALL)
        place = BuildTarget(context.library, context.device, cache_dir)
        for name in names:
            try:
                request = plan_request(name, place, settings)
            except ModelError:  # the network is not here, which another line tells
                continue
            yield from _of_plan(context, request)


def _of_plan(context: GpuContext, request: PlanRequest) -> Iterator[GpuTrouble]:
    found = state_of(request)
    if found.state == "corrupt":
        yield GpuTrouble(f"{request.name}: {found.detail}; {BUILT_AGAIN}")
    if found.state != "ready":
        return
    try:
        load_checked(context, request, found.path.read_bytes()).close()
    except PlanRefusedError as exc:
        yield GpuTrouble(f"{exc}; {BUILT_AGAIN}")
    except ModelError as exc:
        yield GpuTrouble(str(exc), request.name)
