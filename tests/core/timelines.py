"""Timelines for tests: one character a frame at 10 frames/s, read by people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent.core.debounce import Debouncer
from agent.core.thresholds import Thresholds
from agent.core.types import LABELS, GestureEvent, GestureHeld, Hand, HandObservation, Place

if TYPE_CHECKING:
    from collections.abc import Iterable

LETTERS = {"T": "thumbs_up", "F": "fist", "S": "stop", "O": "ok", "2": "two", "?": "random"}
FRAME_S = 0.1


def scores(label: str, score: float = 1.0) -> np.ndarray:
    """Probabilities with `score` for one label and the rest for no gesture."""
    out = np.zeros(len(LABELS), np.float32)
    out[-1] = 1 - score
    out[LABELS.index(label)] += score
    return out


def observations(
    timeline: str, hand: Hand = "right", *, camera: str = "front", person: int = 0
) -> list[HandObservation]:
    return [
        HandObservation(
            i * FRAME_S,
            camera,
            person,
            hand,
            None if letter == "." else scores(LETTERS[letter]),
            None if letter == "." else Place(0.5, 0.5, 0.2),
        )
        for i, letter in enumerate(timeline)
    ]


def events(steps: Iterable[HandObservation], thresholds: Thresholds | None = None) -> list[GestureEvent]:
    debouncer = Debouncer(thresholds or Thresholds(), LABELS)
    return [event for observation in steps for event in debouncer.feed(observation)]


def brief(found: Iterable[GestureEvent]) -> list[tuple[float, str, str]]:
    """(seconds, "started" or "ended", gesture) of each event that is not "held"."""
    return [
        (round(event.at, 3), type(event).__name__.removeprefix("Gesture").lower(), event.gesture)
        for event in found
        if not isinstance(event, GestureHeld)
    ]


def starts_and_ends(timeline: str, thresholds: Thresholds | None = None) -> list[tuple[float, str, str]]:
    return brief(events(observations(timeline), thresholds))
