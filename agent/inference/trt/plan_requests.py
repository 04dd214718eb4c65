"""Plans that this machine needs and their state, for the commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.config.settings import TensorRtSettings
from agent.errors import ModelError
from agent.inference.engine import EngineOptions
from agent.inference.files.store import find, manifest_of
from agent.inference.trt.device import Device
from agent.inference.trt.driver import NoGpuError
from agent.inference.trt.gpu_context import default_context
from agent.inference.trt.library import Library, find_library
from agent.inference.trt.plan_builder import PlanRequest
from agent.inference.trt.plans import (
    FOLDER,
    CorruptPlanError,
    PlanKey,
    PlanLookup,
    StoredPlan,
    kept_plans,
    look_up,
    read_plan,
)


@dataclass(frozen=True, slots=True, eq=False)
class BuildTarget:
    """Machine that builds plans. `device` is None where TensorRT for RTX has no GPU; `note` says so."""

    library: Library
    device: Device | None
    cache_dir: Path
    note: str = ""


def find_build_target(cache_dir: Path) -> BuildTarget:
    """Return this machine as target.

    Raises `ModelError`: no TensorRT, or no GPU where it needs one to build.
    """
    library = find_library()
    try:
        context = default_context(cache_dir)
    except NoGpuError as exc:
        if not library.builds_without_gpu:
            raise
        return BuildTarget(
            library, None, cache_dir, f"{library.label} builds without a GPU, here: {str(exc).split('; ')[0]}"
        )
    return BuildTarget(library, context.device, cache_dir)


def plan_request(
    name: str, place: BuildTarget, settings: TensorRtSettings, engines: Path | None = None
) -> PlanRequest:
    """Return the request for a network. Raises `ModelError` for an unknown or missing one."""
    options = EngineOptions(place.cache_dir, settings, manifest_of(name, place.cache_dir, engines))
    path = find(name, place.cache_dir, engines).path
    return PlanRequest(place.library, place.device, place.cache_dir, name, path, options)


def state_of(request: PlanRequest) -> PlanLookup:
    """Return the state of a plan as `look_up` does, after verifying its checksum too."""
    found = look_up(request.folder, request.key)
    if found.state != "ready":
        return found
    try:
        read_plan(request.folder, request.key)
    except CorruptPlanError as exc:
        return PlanLookup("corrupt", found.path, str(exc))
    return found


def useless(cache_dir: Path, place: BuildTarget | None) -> list[tuple[StoredPlan, str]]:
    """Return unusable plans, each with the reason: other GPU or version, damaged, no receipt."""
    doomed = []
    for kept in kept_plans(cache_dir / FOLDER):
        reason = _why_useless(kept, place)
        if reason:
            doomed.append((kept, reason))
    return doomed


def _why_useless(kept: StoredPlan, place: BuildTarget | None) -> str:
    if kept.key is None:
        return "its receipt is missing or damaged"
    try:
        read_plan(kept.path.parent, kept.key)
    except (CorruptPlanError, FileNotFoundError):
        return "it is damaged"
    return _why_useless_here(kept.key, place) if place else ""


def _why_useless_here(key: PlanKey, place: BuildTarget) -> str:
    if key.library != place.library.label:
        return f"built for {key.library}, here is {place.library.label}"
    if key.gpu != "any" and place.device is not None and key.gpu != place.device.gpu.build_label:
        return f"built for {key.gpu}, here is {place.device.gpu.build_label}"
    try:
        model = find(key.name, place.cache_dir).sha256
    except ModelError as exc:
        return f"its network is not here ({exc})"
    return "" if model == key.model else "its network has changed"
