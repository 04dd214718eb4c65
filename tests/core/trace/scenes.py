"""Scenes for traces: a hand that shows gestures, a character a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agent.core.gesture_pipeline import GesturePipeline
from agent.core.rules import RuleContext, RuleSet
from agent.core.thresholds import Thresholds
from agent.core.trace import TraceHeader, TraceRecord
from agent.core.types import LABELS, Hand, HandObservation, Place
from agent.service.trace_files import TraceFile

FPS = 15
LETTERS = {"T": "thumbs_up", "F": "fist", "S": "stop", "O": "ok", "2": "two", "?": "random"}
LIMITS = Thresholds(confidence=0.65, keep=0.4, hold_s=0.3, release_s=0.35, cooldown_s=0.5)
HEADER = TraceHeader(at=0.0, labels=LABELS, smoothing_s=0.15, thresholds=LIMITS, settings="abc")


def records(
    timeline: str,
    *,
    score: float = 0.95,
    start: float = 0.0,
    hand: Hand = "right",
    place: Place | None = None,
    context: RuleContext | None = None,
) -> list[TraceRecord]:
    """`.` is a frame in which the hand is not seen, `|` the end of the camera."""
    found = []
    for i, letter in enumerate(timeline):
        at = start + i / FPS
        if letter == "|":
            found.append(TraceRecord("stop", at, "front", (), context or RuleContext()))
            continue
        scores = None
        if letter != ".":
            scores = np.zeros(len(LABELS), np.float32)
            scores[LABELS.index(LETTERS[letter])] = score
            scores[-1] += 1 - score
        where = None if scores is None else place or Place(0.5, 0.5, 0.2)
        observation = HandObservation(at, "front", 0, hand, scores, where, 1)
        found.append(TraceRecord("frame", at, "front", (observation,), context or RuleContext()))
    return found


def pipeline(rule_set: RuleSet | None = None, thresholds: Thresholds | None = None) -> GesturePipeline:
    return GesturePipeline(LABELS, thresholds=thresholds or HEADER.thresholds, rule_set=rule_set)


def write(path: Path, scene: list[TraceRecord], header: TraceHeader = HEADER) -> Path:
    with TraceFile(path, header) as trace:
        for record in scene:
            trace.record(record)
    return path
