"""Squares of pictures through a network: cut by the engine itself where it can, else with OpenCV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeGuard

from agent.core.types import Floats
from agent.inference.crops import cut, fill_batch
from agent.inference.engine import DeviceCropEngine, Engine, Piece
from agent.inference.manifest import Input

_can: dict[type, bool] = {}  # by class: asking a protocol takes 25 us on Python 3.11, many times a frame


def can_look_itself(engine: Engine) -> TypeGuard[DeviceCropEngine]:
    """Whether the engine is one that can cut its input out of pictures."""
    kind = type(engine)
    if kind not in _can:
        _can[kind] = isinstance(engine, DeviceCropEngine)
    return _can[kind]


def supports_device_crop(engine: Engine) -> TypeGuard[DeviceCropEngine]:
    """Whether pieces are better left whole: the engine cuts them."""
    return can_look_itself(engine) and engine.crops_on_device


def run_on_crops(
    engine: Engine,
    pieces: Sequence[Piece],
    spec: Input,
    more: Mapping[str, Floats] | None = None,
    fill: int = 0,
) -> dict[str, Floats]:
    """All outputs for all pieces; `fill` is the grey beyond the picture. Raises `EngineError`."""
    if supports_device_crop(engine):
        return engine.run_pieces(pieces, spec, more or {}, fill)
    cuts = [cut(image, box, spec.size, fill) for image, box in pieces]
    return engine.run({spec.name: fill_batch(cuts, spec), **(more or {})})
