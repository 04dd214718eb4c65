"""Verdicts on photographs that need not exist."""

from pathlib import Path

from agent.core.types import Box
from agent.evaluation.judge import PhotographResult
from agent.evaluation.photographs import Photograph

NOWHERE = Path("nowhere.jpg")


def said(
    label: str, predicted: str, probability: float, source: str = "lab", path: Path = NOWHERE
) -> PhotographResult:
    """A photograph of `label` that was taken for `predicted`."""
    return PhotographResult(
        Photograph(path, label, None, source), predicted, probability, Box(60.0, 60.0, 40.0)
    )


def unseen(label: str) -> PhotographResult:
    """A photograph in which no hand was found."""
    return PhotographResult(Photograph(NOWHERE, label, None, "lab"), "random", 0.0, None)


def unreadable(label: str) -> PhotographResult:
    """A file that is no picture."""
    return PhotographResult(Photograph(NOWHERE, label, None, "lab"), "random", 0.0, None, readable=False)
