"""Evaluation of photographs, one verdict for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from agent.core.types import NO_GESTURE, Box, HandDetection, Image
from agent.errors import UnreadablePicture
from agent.evaluation.photographs import Photograph
from agent.picture_file import read_picture

Stage = Literal["crop", "pipeline"]
Corners = tuple[float, float, float, float]


class StillRecognizer(Protocol):
    """Protocol of the recogniser that an evaluation uses."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the scores."""

    def recognize_still(self, image: Image) -> Sequence[HandDetection]:
        """Return every hand of a photograph (BGR), detected as in the daemon."""

    def hands_in(self, image: Image, box: Corners | None) -> Sequence[HandDetection]:
        """Return the hand inside a given box in px; None stands for the whole picture."""


@dataclass(frozen=True, slots=True)
class PhotographResult:
    """The recogniser's answer for one photograph."""

    photograph: Photograph
    predicted: str  # `random` also where no hand was detected: both mean "no gesture"
    probability: float  # of the predicted class; 0 where no hand was detected
    box: Box | None  # of the deciding hand; None where no hand was detected
    readable: bool = True

    @property
    def right(self) -> bool:
        """Whether the prediction equals the label."""
        return self.predicted == self.photograph.label


def best_hand(hands: Sequence[HandDetection], labels: Sequence[str]) -> tuple[HandDetection, str] | None:
    """Return the hand with the most probable gesture and its label, else the most probable `random` hand."""

    def rank(hand: HandDetection) -> tuple[bool, float]:
        best = int(hand.scores.argmax())
        return labels[best] != NO_GESTURE, float(hand.scores[best])

    if not hands:
        return None
    hand = max(hands, key=rank)
    return hand, labels[int(hand.scores.argmax())]


def judge(photograph: Photograph, recognizer: StillRecognizer, stage: Stage) -> PhotographResult:
    """Run one photograph through a stage: `crop` uses the labelled box, `pipeline` detects hands."""
    try:
        image = read_picture(photograph.path)
    except (OSError, UnreadablePicture):
        return PhotographResult(photograph, NO_GESTURE, 0.0, None, readable=False)
    seen = (
        recognizer.hands_in(image, photograph.box) if stage == "crop" else recognizer.recognize_still(image)
    )
    best = best_hand(seen, recognizer.labels)
    if best is None:
        return PhotographResult(photograph, NO_GESTURE, 0.0, None)
    hand, label = best
    return PhotographResult(photograph, label, float(hand.scores.max()), hand.box)


def evaluate(
    photographs: Sequence[Photograph],
    recognizer: StillRecognizer,
    stage: Stage,
    progress: Callable[[], None] = lambda: None,
) -> Iterator[PhotographResult]:
    """Yield verdicts in the order of the photographs; `progress` is called after each."""
    for photograph in photographs:
        yield judge(photograph, recognizer, stage)
        progress()
