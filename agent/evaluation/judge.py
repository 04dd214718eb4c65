"""Each photograph through the product's own code, one verdict a photograph."""

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
    """What an evaluation needs of the perception."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the scores, in their order."""

    def recognize_still(self, image: Image) -> Sequence[HandDetection]:
        """Every hand of a photograph (BGR), found as the daemon finds them."""

    def hands_in(self, image: Image, box: Corners | None) -> Sequence[HandDetection]:
        """The hand inside a given box; None means that the whole picture is meant."""


@dataclass(frozen=True, slots=True)
class PhotographResult:
    """What the product says of one photograph."""

    photograph: Photograph
    predicted: str  # `random` also where no hand was found: both are "no gesture"
    probability: float  # of the predicted class; 0 where no hand was found
    box: Box | None  # of the hand that decided; None where no hand was found
    readable: bool = True

    @property
    def right(self) -> bool:
        """Whether the label was met."""
        return self.predicted == self.photograph.label


def best_hand(hands: Sequence[HandDetection], labels: Sequence[str]) -> tuple[HandDetection, str] | None:
    """The hand that makes a gesture with the highest probability, else the surest `random` one."""

    def rank(hand: HandDetection) -> tuple[bool, float]:
        best = int(hand.scores.argmax())
        return labels[best] != NO_GESTURE, float(hand.scores[best])

    if not hands:
        return None
    hand = max(hands, key=rank)
    return hand, labels[int(hand.scores.argmax())]


def judge(photograph: Photograph, recognizer: StillRecognizer, stage: Stage) -> PhotographResult:
    """One photograph through one stage of the product."""
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
    """Verdicts in the order of the list; `progress` is called after each."""
    for photograph in photographs:
        yield judge(photograph, recognizer, stage)
        progress()
