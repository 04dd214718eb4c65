"""Inference on the CPU with ONNX Runtime; runs on every machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

# From 1.29 on the published wheels report every process and session to their maker, and store a machine id,
# unless this is set before the library is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort

from agent.core.types import Floats
from agent.errors import EngineError, ModelError
from agent.inference.engine import Shape, check_inputs


class OnnxRuntimeEngine:
    """An `Engine` on ONNX Runtime. `threads` is the number of cores that one `run` may use."""

    def __init__(self, name: str, path: Path, *, threads: int = 2) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors only: relevant ones are raised as exceptions
        # Threads that spin between two networks compete for the cores: 2-3 x slower on two cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_mem_reuse = True
        # An arena keeps the memory of its largest batch ever: 50 MB over five networks, and no faster.
        options.enable_cpu_mem_arena = False
        try:
            self._session: ort.InferenceSession | None = ort.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as exc:  # the library's errors have no common base class
            raise ModelError(f"{name}: {path} cannot be loaded by onnxruntime ({_first_line(exc)})") from exc
        self.name = name
        self.inputs: dict[str, Shape] = {i.name: _shape(i.shape) for i in self._session.get_inputs()}
        self.outputs: dict[str, Shape] = {o.name: _shape(o.shape) for o in self._session.get_outputs()}
        self._names = list(self.outputs)

    def run(self, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        """Run the network; return all outputs. Raises `EngineError`."""
        if self._session is None:
            raise EngineError(f"{self.name}: is closed")
        check_inputs(self.name, self.inputs, inputs)
        try:
            results = self._session.run(self._names, dict(inputs))
        except Exception as exc:  # the library's errors have no common base class
            raise EngineError(f"{self.name}: onnxruntime failed ({_first_line(exc)})") from exc
        return {name: np.asarray(r, np.float32) for name, r in zip(self._names, results, strict=True)}

    def close(self) -> None:
        """Free the session; may be called twice."""
        self._session = None


def _shape(dims: list[int | str | None]) -> Shape:
    return tuple(d if isinstance(d, int) else str(d or "?") for d in dims)


def _first_line(exc: Exception) -> str:
    return str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
