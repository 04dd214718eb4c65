"""Runs networks on crops, cut by the engine on its device where supported, else with OpenCV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeGuard

from agent.core.types import Floats
from agent.inference.crops import cut, fill_batch
from agent.inference.engine import DeviceCropEngine, Engine, Piece
from agent.inference.manifest import Input

_can: dict[type, bool] = {}  # by class: checking a protocol takes 25 us on Python 3.11, many times a frame


def has_crop_interface(engine: Engine) -> TypeGuard[DeviceCropEngine]:
    """Whether the engine implements cropping on its device."""
    kind = type(engine)
    if kind not in _can:
        _can[kind] = isinstance(engine, DeviceCropEngine)
    return _can[kind]


def supports_device_crop(engine: Engine) -> TypeGuard[DeviceCropEngine]:
    """Whether the engine crops on its device now, so that images are passed whole."""
    return has_crop_interface(engine) and engine.crops_on_device


def run_on_crops(
    engine: Engine,
    pieces: Sequence[Piece],
    spec: Input,
    more: Mapping[str, Floats] | None = None,
    fill: int = 0,
) -> dict[str, Floats]:
    """Return all outputs for all crops; `fill` is the grey level outside the image. Raises `EngineError`."""
    if supports_device_crop(engine):
        return engine.run_pieces(pieces, spec, more or {}, fill)
    cuts = [cut(image, box, spec.size, fill) for image, box in pieces]
    return engine.run({spec.name: fill_batch(cuts, spec), **(more or {})})
