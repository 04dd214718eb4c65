"""Self-test of a loaded plan: one stored input, compared with the outputs of ONNX Runtime.

A plan that loads may still be wrong: a kernel that overflows in half precision gives NaN, a miscompiled layer
gives noise. The input has a fixed seed; input and expected outputs are stored with the plan, so that
later starts need no ONNX Runtime and take one run.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.core.types import Floats
from agent.errors import ModelError
from agent.inference.engine import load_engine
from agent.inference.files.disk import write_whole
from agent.inference.trt.session import Session

# Largest difference allowed / largest value of that output. In half precision our networks differ by up to
# 0.04 on the CPU; real faults are of the order of 1.
TOLERANCE = {"fp32": 0.01, "fp16": 0.1, "int8": 0.5}
SEED = 1
IN, OUT = "in.", "out."  # prefixes of the arrays in the file


class SelfTestError(ModelError):
    """Raised for a plan that loads and gives wrong outputs."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Input of one image and expected outputs: tensor name -> float32 (1, ...)."""

    feeds: Mapping[str, Floats]
    expected: Mapping[str, Floats]


def sample_for(session: Session, onnx: Path, kept: Path) -> Sample:
    """Return the stored sample of a plan; computed with ONNX Runtime and stored if missing.

    Raises `ModelError` when ONNX Runtime cannot run the network.
    """
    return _read(kept) or _compute(session, onnx, kept)


def self_test(session: Session, sample: Sample, precision: str) -> None:
    """Run the sample. Raises `SelfTestError` with the output and its deviation."""
    given = session.run_once(sample.feeds)
    for name, expected in sample.expected.items():
        got = given.get(name)
        if got is None or got.shape != expected.shape:
            seen = "missing" if got is None else str(got.shape)
            raise SelfTestError(
                f'{session.name}: output "{name}" is {seen}, ONNX Runtime gives {expected.shape}'
            )
        if not np.isfinite(got).all():
            kind = "NaN" if np.isnan(got).any() else "infinity"
            raise SelfTestError(
                f'{session.name}: output "{name}" holds {kind} in {precision}; {_todo(precision)}'
            )
        apart = float(np.abs(got - expected).max())
        most = TOLERANCE[precision] * max(float(np.abs(expected).max()), 1.0)
        if apart > most:
            raise SelfTestError(
                f'{session.name}: output "{name}" is {apart:.3g} away from ONNX Runtime\'s in {precision} '
                f"(at most {most:.3g}); {_todo(precision)}"
            )


def _todo(precision: str) -> str:
    other = 'recognition.tensorrt.precision to "fp32", or ' if precision != "fp32" else ""
    return f'set {other}recognition.backend to "onnxruntime"'


def _compute(session: Session, onnx: Path, kept: Path) -> Sample:
    engine = load_engine(session.name, onnx, backend="onnxruntime", threads=1)
    try:
        rng = np.random.default_rng(SEED)
        feeds: dict[str, Floats] = {
            name: rng.random((1, *tensor.sizes), np.float32) for name, tensor in session.inputs.items()
        }
        sample = Sample(feeds, engine.run(feeds))
    finally:
        engine.close()
    packed = io.BytesIO()
    named = {f"{IN}{key}": array for key, array in sample.feeds.items()}
    named |= {f"{OUT}{key}": array for key, array in sample.expected.items()}
    np.savez(packed, allow_pickle=False, **named)
    write_whole(kept, packed.getvalue())
    return sample


def _read(kept: Path) -> Sample | None:
    try:
        with kept.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = {key: arrays[key] for key in arrays.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None  # missing or damaged: computed again
    return Sample(
        {key.removeprefix(IN): array for key, array in found.items() if key.startswith(IN)},
        {key.removeprefix(OUT): array for key, array in found.items() if key.startswith(OUT)},
    )
