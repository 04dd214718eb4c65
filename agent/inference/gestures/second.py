"""The image classifier of an ensemble as a network of its own, asked only about hands that it can change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from agent.core.types import Floats
from agent.core.work_plan import EVERY_FRAME, ImagePlan, ImageResult, Rates
from agent.errors import EngineError
from agent.inference.engine import Engine
from agent.inference.manifest import EnsembleSource, Manifest

LEAST = 1e-6  # probability; as in the ensemble that is one network (agent/inference/files/ensemble.py)


class SecondClassifier:
    """Averages its word with that of the first, as the ensemble of `source` does, where it matters.

    `manifest` is that of `engine`: the inputs of the ensemble, and `scores` alone. `asked` counts the
    reasons why a hand was read by it or not.
    """

    def __init__(
        self, engine: Engine, manifest: Manifest, source: EnsembleSource, rates: Rates | None = None
    ) -> None:
        labels = manifest.labels
        self._engine, self._name, self._scores = engine, manifest.name, str(manifest.output.scores)
        self._weight = np.float32(source.weight)
        self._bias = np.array([source.bias.get(label, 0.0) for label in labels], np.float32)
        self._plan, self._always = ImagePlan(labels, rates), ImagePlan(labels, EVERY_FRAME)
        self.asked: Counter[str] = Counter()

    def judge(
        self,
        inputs: Mapping[str, Floats],
        first: Floats,
        words: Sequence[ImageResult | None],
        at: Sequence[float | None],
    ) -> tuple[Floats, list[ImageResult | None]]:
        """Probabilities (N, labels) of both, and the words to remember, one for each row of `first`.

        `inputs` are those of the first, `words` what was remembered; where `at` is None the hand has no
        past and is read in any case. Raises `EngineError`.
        """
        rows = []
        for row, scores in enumerate(first):
            when = at[row]
            decision = (self._always if when is None else self._plan).should_run(
                words[row], scores, when or 0.0
            )
            self.asked[decision.why] += 1
            if decision.do:
                rows.append(row)
        both, heard = np.array(first, np.float32), list(words)
        said = self._run(inputs, rows, len(first))
        for row, scores in enumerate(first):
            word = heard[row]
            if row in said:
                word = self._plan.remember(word, scores, said[row], at[row] or 0.0)
            elif word is not None and word.label != int(scores.argmax()):
                word = None  # the hand means nothing now: what was said of it before is old
            heard[row] = word
            if word is not None:
                both[row] = self._mean(scores, word.scores)
        return both, heard

    def close(self) -> None:
        """Free the network."""
        self._engine.close()

    def _run(self, inputs: Mapping[str, Floats], rows: list[int], count: int) -> dict[int, Floats]:
        if not rows:
            return {}
        if len(rows) < count:
            inputs = {name: array[rows] for name, array in inputs.items()}
        results = self._engine.run(inputs)[self._scores]
        if len(results) != len(rows):
            raise EngineError(f"{self._name}: {len(rows)} crops in, {len(results)} results out")
        return dict(zip(rows, results, strict=True))

    def _mean(self, first: Floats, second: Floats) -> Floats:
        logits = (
            np.log(np.maximum(first, LEAST)) * (1 - self._weight)
            + np.log(np.maximum(second, LEAST)) * self._weight
            + self._bias
        )
        raised = np.exp(logits - logits.max())
        return np.asarray(raised / raised.sum(), np.float32)
