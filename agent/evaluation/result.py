"""All that an evaluation found, for tables, pages and programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from agent.core.thresholds import Thresholds
from agent.evaluation.calibration import Calibration, calibrate
from agent.evaluation.judge import PhotographResult, Stage
from agent.evaluation.metrics import Figures, figures


@dataclass(frozen=True)
class Evaluation:
    """The verdicts on a list of photographs, and the figures that follow from them."""

    model: str
    stage: Stage
    labels: tuple[str, ...]
    thresholds: Thresholds  # of them, the confidence that a gesture has to reach
    verdicts: Sequence[PhotographResult]

    @cached_property
    def readable(self) -> list[PhotographResult]:
        """Those of files that are pictures; only they are judged."""
        return [v for v in self.verdicts if v.readable]

    @cached_property
    def unreadable(self) -> list[str]:
        """Paths of the other files."""
        return [str(v.photograph.path) for v in self.verdicts if not v.readable]

    @cached_property
    def figures(self) -> Figures:
        """Of all photographs together."""
        return self._of(self.readable)

    @cached_property
    def sources(self) -> dict[str, Figures]:
        """Of each source, in name order."""
        names = sorted({v.photograph.source for v in self.verdicts})
        return {name: self._of([v for v in self.readable if v.photograph.source == name]) for name in names}

    @cached_property
    def calibration(self) -> Calibration:
        """Of all photographs together."""
        return calibrate(self.readable, self.labels, self.thresholds)

    @cached_property
    def mistakes(self) -> list[PhotographResult]:
        """The wrong ones, the surest first."""
        return sorted((v for v in self.readable if not v.right), key=lambda v: -v.probability)

    def _of(self, verdicts: Sequence[PhotographResult]) -> Figures:
        pairs = [(v.photograph.label, v.predicted) for v in verdicts]
        return figures(self.labels, pairs, found=sum(v.box is not None for v in verdicts))
