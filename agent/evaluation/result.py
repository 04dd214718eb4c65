"""Result of an evaluation, for tables, reports and programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from agent.core.thresholds import Thresholds
from agent.evaluation.calibration import Calibration, calibrate
from agent.evaluation.figures import Figures, figures
from agent.evaluation.judge import PhotographResult, Stage


@dataclass(frozen=True)
class Evaluation:
    """Verdicts on a list of photographs, with the figures derived from them."""

    model: str
    stage: Stage
    labels: tuple[str, ...]
    thresholds: Thresholds  # of which the required confidence is used
    verdicts: Sequence[PhotographResult]

    @cached_property
    def readable(self) -> list[PhotographResult]:
        """Verdicts on readable files; only these are evaluated."""
        return [v for v in self.verdicts if v.readable]

    @cached_property
    def unreadable(self) -> list[str]:
        """Paths of the files that could not be read as pictures."""
        return [str(v.photograph.path) for v in self.verdicts if not v.readable]

    @cached_property
    def figures(self) -> Figures:
        """Figures of all photographs together."""
        return self._of(self.readable)

    @cached_property
    def sources(self) -> dict[str, Figures]:
        """Figures of each source, in name order."""
        names = sorted({v.photograph.source for v in self.verdicts})
        return {name: self._of([v for v in self.readable if v.photograph.source == name]) for name in names}

    @cached_property
    def calibration(self) -> Calibration:
        """Calibration over all photographs."""
        return calibrate(self.readable, self.labels, self.thresholds)

    @cached_property
    def mistakes(self) -> list[PhotographResult]:
        """Wrong verdicts, the most confident first."""
        return sorted((v for v in self.readable if not v.right), key=lambda v: -v.probability)

    def _of(self, verdicts: Sequence[PhotographResult]) -> Figures:
        pairs = [(v.photograph.label, v.predicted) for v in verdicts]
        return figures(self.labels, pairs, found=sum(v.box is not None for v in verdicts))
