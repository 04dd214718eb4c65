"""Scenes for traces: a hand that shows gestures, a character a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agent.core.interpreter import Interpreter
from agent.core.rules import Book, World
from agent.core.thresholds import Thresholds
from agent.core.trace import Header, Moment
from agent.core.types import LABELS, Hand, Place, Reading
from agent.service.trace import TraceFile

FPS = 15
LETTERS = {"T": "thumbs_up", "F": "fist", "S": "stop", "O": "ok", "2": "two", "?": "random"}
LIMITS = Thresholds(confidence=0.65, keep=0.4, hold_s=0.3, release_s=0.35, cooldown_s=0.5)
HEADER = Header(at=0.0, labels=LABELS, smoothing_s=0.15, thresholds=LIMITS, settings="abc")


def moments(
    timeline: str,
    *,
    score: float = 0.95,
    start: float = 0.0,
    hand: Hand = "right",
    place: Place | None = None,
    world: World | None = None,
) -> list[Moment]:
    """`.` is a frame in which the hand is not seen, `|` the end of the camera."""
    found = []
    for i, letter in enumerate(timeline):
        at = start + i / FPS
        if letter == "|":
            found.append(Moment("stop", at, "front", (), world or World()))
            continue
        scores = None
        if letter != ".":
            scores = np.zeros(len(LABELS), np.float32)
            scores[LABELS.index(LETTERS[letter])] = score
            scores[-1] += 1 - score
        where = None if scores is None else place or Place(0.5, 0.5, 0.2)
        reading = Reading(at, "front", 0, hand, scores, where, 1)
        found.append(Moment("frame", at, "front", (reading,), world or World()))
    return found


def mind(book: Book | None = None, thresholds: Thresholds | None = None) -> Interpreter:
    return Interpreter(LABELS, thresholds=thresholds or HEADER.thresholds, book=book)


def write(path: Path, scene: list[Moment], header: Header = HEADER) -> Path:
    with TraceFile(path, header) as trace:
        for moment in scene:
            trace.record(moment)
    return path
