"""Smaller landmark classifier for hands whose gesture is settled: it confirms, the larger one decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from agent.core.types import Floats
from agent.core.work_plan import ImagePlan, ImageResult, Rates
from agent.inference.engine import Engine
from agent.inference.manifest import Manifest

PRESENT = 0.5  # presence below which the smaller network does not see the hand


class Follower:
    """Runs a smaller landmark classifier where a hand has shown one gesture for long.

    Where it is sure of the same gesture, the hand's scores stay as the larger network last gave them, and
    only the landmarks are its own. Where it is not, the larger network runs on the same frame. So no score
    that starts or ends a gesture is the smaller one's. Their embeddings differ: a confirmed hand has none.
    `manifest` is that of `engine` and has the inputs and outputs of the larger one.
    """

    def __init__(self, engine: Engine, manifest: Manifest, rates: Rates) -> None:
        self._engine, self._sure = engine, rates.sure
        self._scores, self._presence = str(manifest.output.scores), str(manifest.output.presence)
        self._plan = ImagePlan(manifest.labels, rates)

    def run(
        self,
        larger: Engine,
        inputs: Mapping[str, Floats],
        image_results: Sequence[ImageResult | None],
        at: Sequence[float | None],
    ) -> tuple[dict[str, Floats], frozenset[int]]:
        """Return the outputs for each hand, in order, and the rows that the smaller network confirmed.

        `image_results` and `at` are as in `SecondClassifier.judge`. Raises `EngineError`.
        """
        settled = {
            row: last
            for row, last in enumerate(image_results)
            if last is not None and self._plan.settled(last, at[row])
        }
        if not settled:
            return larger.run(inputs), frozenset()
        small = self._engine.run(_rows(inputs, list(settled)))
        confirmed = {
            row: index
            for index, (row, last) in enumerate(settled.items())
            if self._confirms(small, index, last)
        }
        if not confirmed:
            return larger.run(inputs), frozenset()
        parts = [({name: array[list(confirmed.values())] for name, array in small.items()}, list(confirmed))]
        parts[0][0][self._scores] = np.stack([settled[row].landmark_scores for row in confirmed])
        if rest := [row for row in range(len(at)) if row not in confirmed]:
            parts.append((larger.run(_rows(inputs, rest)), rest))
        return _joined(parts, len(at)), frozenset(confirmed)

    def _confirms(self, small: Mapping[str, Floats], index: int, last: ImageResult) -> bool:
        scores, presence = small[self._scores][index], float(small[self._presence][index].reshape(-1)[0])
        same = int(scores.argmax()) == last.label
        return same and presence >= PRESENT and float(scores.max()) >= self._sure


def _rows(inputs: Mapping[str, Floats], rows: list[int]) -> dict[str, Floats]:
    """The rows of each input, in order; not copied where they are all of them."""
    return {name: array if len(rows) == len(array) else array[rows] for name, array in inputs.items()}


def _joined(parts: Sequence[tuple[Mapping[str, Floats], list[int]]], count: int) -> dict[str, Floats]:
    """The outputs that all parts have, each part's in its rows."""
    joined = {}
    for name in set.intersection(*(set(outputs) for outputs, _ in parts)):
        first = parts[0][0][name]
        joined[name] = np.empty((count, *first.shape[1:]), first.dtype)
        for outputs, rows in parts:
            joined[name][rows] = outputs[name]
    return joined
