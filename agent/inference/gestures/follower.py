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

    Its result counts where it is sure of the same gesture. Where it is not, the larger network runs on the
    same frame, so that nothing starts or ends by the smaller one's word alone. `manifest` is that of `engine`
    and has the inputs and outputs of the larger one.
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
    ) -> dict[str, Floats]:
        """Return the outputs of the landmark classifiers, one row for each hand, in order.

        `image_results` and `at` are as in `SecondClassifier.judge`. Raises `EngineError`.
        """
        count = len(at)
        settled = [row for row in range(count) if self._plan.settled(image_results[row], at[row])]
        if not settled:
            return larger.run(inputs)
        small = self._engine.run(_rows(inputs, settled))
        confirmed = [i for i, row in enumerate(settled) if self._confirms(small, i, image_results[row])]
        taken = [settled[i] for i in confirmed]
        rest = [row for row in range(count) if row not in taken]
        if not taken:
            return larger.run(inputs)
        if not rest:
            return small
        large = larger.run(_rows(inputs, rest))
        merged = {}
        for name in large.keys() & small.keys():
            merged[name] = np.empty((count, *large[name].shape[1:]), large[name].dtype)
            merged[name][rest], merged[name][taken] = large[name], small[name][confirmed]
        return merged

    def _confirms(self, small: Mapping[str, Floats], index: int, last: ImageResult | None) -> bool:
        scores, presence = small[self._scores][index], float(small[self._presence][index].reshape(-1)[0])
        same = last is not None and int(scores.argmax()) == last.label
        return same and presence >= PRESENT and float(scores.max()) >= self._sure


def _rows(inputs: Mapping[str, Floats], rows: list[int]) -> dict[str, Floats]:
    return {name: array[rows] for name, array in inputs.items()}
