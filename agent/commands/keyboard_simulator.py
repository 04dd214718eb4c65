"""Simulation of hands by keys for `rules try`, independent of the terminal."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from agent.config.rules.cases import CAMERA, HAND
from agent.config.rules.grammar import LETTERS
from agent.core.debounce import PendingGesture
from agent.core.gesture_pipeline import GesturePipeline
from agent.core.rules import RuleContext, RuleVerdict, Zone
from agent.core.rules.formatting import describe_action
from agent.core.types import (
    HANDS,
    NO_GESTURE,
    Action,
    GestureEnded,
    GestureHeld,
    Hand,
    HandObservation,
    Place,
)

NOTES = 12  # maximum notes

Kind = Literal["gesture", "fired", "refused"]


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened, `at_s` seconds after the first key."""

    at_s: float
    kind: Kind
    text: str


class KeyboardSimulator:
    """Simulates two hands from key presses and records what the rules do."""

    def __init__(self, pipeline: GesturePipeline, labels: Sequence[str], cameras: Sequence[str] = ()) -> None:
        self._interpreter = pipeline
        self._labels = tuple(labels)
        self.keys = _keys(labels)
        self.hand: Hand = "right"
        self.shown: dict[Hand, str | None] = {"right": None, "left": None}
        self.zone: Zone | None = None
        self.notes: deque[Note] = deque(maxlen=NOTES)
        self._zones = itertools.cycle([*pipeline.rules.rule_set.zones, None])
        self._cameras = cameras
        self._began: float | None = None

    @property
    def camera(self) -> str:
        """Camera of the current zone, else the first that a rule or the settings name."""
        named = [rule.when.camera for rule in self._interpreter.rules.rule_set.rules]
        wanted = [self.zone.camera if self.zone else None, *named, *self._cameras]
        return next((camera for camera in wanted if camera), CAMERA)

    def press(self, key: str) -> bool:
        """Process a key; False when it quits."""
        if key in {"q", "\x04", "\x1b"}:  # q, Ctrl-D, Esc
            return False
        if key == "\t":
            self.hand = "left" if self.hand == "right" else "right"
        elif key == "z":
            self.zone = next(self._zones)
        elif key == " ":
            self.shown = {"right": None, "left": None}
        elif key in self.keys:
            self.shown[self.hand] = self.keys[key]
        return True

    def advance(self, at: float, time: dt.time | None = None) -> list[Action]:
        """Process a frame at `at` (monotonic seconds) and note what rules would do.

        `time` is the local time.
        """
        self._began = at if self._began is None else self._began
        why: list[RuleVerdict] = []
        result = self._interpreter.process_observations(
            [self._observation(at, hand) for hand in HANDS], RuleContext(time), why
        )
        for event in result.events:
            if not isinstance(event, GestureHeld):
                verb = "ended" if isinstance(event, GestureEnded) else "started"
                self._note(at, "gesture", f"{event.gesture} {verb}, {event.hand} hand")
        for action in result.actions:
            self._note(at, "fired", f"{action.rule}: {describe_action(action)}")
        for verdict in _telling(why):
            self._note(at, "refused", f"{verdict.rule}: {verdict.seen}; wanted: {verdict.wanted}")
        return list(result.actions)

    def pending(self) -> list[PendingGesture]:
        """Pending gestures."""
        return self._interpreter.pending()

    def _observation(self, at: float, hand: Hand) -> HandObservation:
        gesture = self.shown[hand]
        if gesture is None:
            return HandObservation(at, self.camera, 0, hand, None)
        scores = np.array([label == gesture for label in self._labels], np.float32)
        return HandObservation(at, self.camera, 0, hand, scores, self._place())

    def _place(self) -> Place:
        if self.zone is None:
            return Place(0.5, 0.5, HAND)
        left, top, right, bottom = self.zone.box
        return Place((left + right) / 2, (top + bottom) / 2, max(HAND, self.zone.min_hand))

    def _note(self, at: float, kind: Kind, text: str) -> None:
        self.notes.append(Note(round(at - (self._began or 0.0), 1), kind, text))


def _keys(labels: Sequence[str]) -> dict[str, str]:
    """Key: gesture. Taught gestures get the free digits."""
    known = {key.lower(): label for key, label in LETTERS.items() if label in labels and label != NO_GESTURE}
    taught = [label for label in labels if label != NO_GESTURE and label not in known.values()]
    return {**known, **dict(zip("3456789", taught, strict=False))}


def _telling(why: Iterable[RuleVerdict]) -> list[RuleVerdict]:
    """Verdicts worth showing: not those where a rule just wants another gesture."""
    return [verdict for verdict in why if not verdict.fired and verdict.reason != "gesture"]
