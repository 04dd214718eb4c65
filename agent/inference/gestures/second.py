"""Image classifier of an ensemble as a separate network, run only where it can change the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from agent.core.types import Floats
from agent.core.work_plan import EVERY_FRAME, ImagePlan, ImageResult, Rates
from agent.errors import EngineError
from agent.inference.engine import Engine
from agent.inference.manifest import EnsembleSource, Manifest

LEAST = 1e-6  # lower bound of a probability, as in agent/inference/files/ensemble.py


class SecondClassifier:
    """Averages the scores of image and landmark classifier, and skips runs that change nothing.

    `source` holds the weights; `manifest` is that of `engine`: inputs of the ensemble, and `scores` only.
    `asked` counts the reasons why a hand was classified or skipped.
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
        image_results: Sequence[ImageResult | None],
        at: Sequence[float | None],
    ) -> tuple[Floats, list[ImageResult | None]]:
        """Return the combined probabilities (N, labels) and the image results to remember, row by row.

        `inputs` are those of the landmark classifier, `image_results` the remembered results; where `at` is
        None the hand has no history and is always classified. Raises `EngineError`.
        """
        rows = []
        for row, scores in enumerate(first):
            when = at[row]
            decision = (self._always if when is None else self._plan).should_run(
                image_results[row], scores, when or 0.0
            )
            self.asked[decision.why] += 1
            if decision.do:
                rows.append(row)
        both, updated = np.array(first, np.float32), list(image_results)
        said = self._run(inputs, rows, len(first))
        for row, scores in enumerate(first):
            image_result = updated[row]
            if row in said:
                image_result = self._plan.remember(image_result, scores, said[row], at[row] or 0.0)
            elif image_result is not None and image_result.label != int(scores.argmax()):
                image_result = (
                    None  # the landmark classifier's label has changed: the old result does not apply
                )
            updated[row] = image_result
            if image_result is not None:
                both[row] = self._mean(scores, image_result.scores)
        return both, updated

    def close(self) -> None:
        """Close the network."""
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
        shares = np.exp(logits - logits.max())
        return np.asarray(shares / shares.sum(), np.float32)
