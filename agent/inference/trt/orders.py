"""Which plans a machine wants, and in what state they are: for the commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.config.settings import TensorRtSettings
from agent.errors import ModelError
from agent.inference.engine import EngineOptions
from agent.inference.files.store import find, manifest_of
from agent.inference.trt.device import Device
from agent.inference.trt.driver import NoGpuError
from agent.inference.trt.library import Library, find_library
from agent.inference.trt.plans import (
    FOLDER,
    CorruptPlanError,
    Found,
    Kept,
    PlanKey,
    kept_plans,
    look_up,
    read_plan,
)
from agent.inference.trt.rooms import default_room
from agent.inference.trt.workshop import Order


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where plans can be built. `device` is None where TensorRT for RTX has no GPU; `note` says so."""

    library: Library
    device: Device | None
    cache_dir: Path
    note: str = ""


def find_place(cache_dir: Path) -> Place:
    """This machine. Raises `ModelError`: no TensorRT; no GPU, and a TensorRT that needs one to build."""
    library = find_library()
    try:
        room = default_room(cache_dir)
    except NoGpuError as exc:
        if not library.builds_without_gpu:
            raise
        return Place(
            library, None, cache_dir, f"{library.label} builds without a GPU, here: {str(exc).split('; ')[0]}"
        )
    return Place(library, room.device, cache_dir)


def orders_of(
    names: Sequence[str], place: Place, settings: TensorRtSettings, engines: Path | None = None
) -> list[Order]:
    """One for every network. Raises `ModelError` when a network is unknown or not here."""
    orders = []
    for name in names:
        options = EngineOptions(place.cache_dir, settings, manifest_of(name, place.cache_dir, engines))
        path = find(name, place.cache_dir, engines).path
        orders.append(Order(place.library, place.device, place.cache_dir, name, path, options))
    return orders


def state_of(order: Order) -> Found:
    """As `look_up`, and the plan is read and checked."""
    found = look_up(order.folder, order.key)
    if found.state != "ready":
        return found
    try:
        read_plan(order.folder, order.key)
    except CorruptPlanError as exc:
        return Found("corrupt", found.path, str(exc))
    return found


def useless(cache_dir: Path, place: Place | None) -> list[tuple[Kept, str]]:
    """Plans that cannot be used here, each with the reason: another GPU or version, damaged, no receipt."""
    doomed = []
    for kept in kept_plans(cache_dir / FOLDER):
        reason = _why_useless(kept, place)
        if reason:
            doomed.append((kept, reason))
    return doomed


def _why_useless(kept: Kept, place: Place | None) -> str:
    if kept.key is None:
        return "its receipt is missing or damaged"
    try:
        read_plan(kept.path.parent, kept.key)
    except (CorruptPlanError, FileNotFoundError):
        return "it is damaged"
    return _why_useless_here(kept.key, place) if place else ""


def _why_useless_here(key: PlanKey, place: Place) -> str:
    if key.library != place.library.label:
        return f"built for {key.library}, here is {place.library.label}"
    if key.gpu != "any" and place.device is not None and key.gpu != place.device.gpu.build_label:
        return f"built for {key.gpu}, here is {place.device.gpu.build_label}"
    try:
        model = find(key.name, place.cache_dir).sha256
    except ModelError as exc:
        return f"its network is not here ({exc})"
    return "" if model == key.model else "its network has changed"
