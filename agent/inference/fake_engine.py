"""Engine without a network, for tests and trials: computes given outputs, fails on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.core.types import Floats
from agent.errors import EngineError
from agent.inference.engine import Shape, check_inputs

Answer = Callable[[Mapping[str, Floats]], dict[str, Floats]]


class FakeEngine:
    """An `Engine` whose outputs are computed by `answer`; `run` fails with the text of `broken` where set."""

    def __init__(
        self, name: str, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape], answer: Answer
    ) -> None:
        self.name = name
        self.inputs, self.outputs = dict(inputs), dict(outputs)
        self.broken: str | None = None
        self.runs: list[dict[str, tuple[int, ...]]] = []  # shapes of the inputs of every run
        self._answer = answer
        self._closed = False

    def run(self, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return the outputs of `answer`. Raises `EngineError` where closed or broken."""
        if self._closed:
            raise EngineError(f"{self.name}: is closed")
        check_inputs(self.name, self.inputs, inputs)
        self.runs.append({name: array.shape for name, array in inputs.items()})
        if self.broken:
            raise EngineError(f"{self.name}: {self.broken}")
        return self._answer(inputs)

    def close(self) -> None:
        """Close the engine; may be called twice."""
        self._closed = True
