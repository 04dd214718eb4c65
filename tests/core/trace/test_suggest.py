"""The confidence that each gesture should ask for, as traces have it."""

from __future__ import annotations

from scenes import FPS, HEADER, records

from agent.core.thresholds import Thresholds
from agent.core.trace import TraceRecord
from agent.core.trace_suggest import rounds, suggest
from agent.core.trace_tune import LabelledTrace, TruthSpan, evaluate_thresholds, label_trace

ALIKE = Thresholds(confidence=0.75, keep=0.4, cooldown_s=0.0)
TRIED = (0.3, 0.6, 0.7, 0.8, 0.9)
GESTURES = ("fist", "stop", "two")
SECOND = "." * FPS


def take(*shown: tuple[str, float], meant: str = "") -> LabelledTrace:
    """A second of each gesture at its probability, then one of nothing; those of `meant` on purpose."""
    scene: list[TraceRecord] = []
    truth: list[TruthSpan] = []
    names = {"F": "fist", "S": "stop", "2": "two"}
    for letter, score in shown:
        start = len(scene) / FPS
        scene += records(letter * FPS + SECOND, score=score, start=start)
        if letter in meant:
            truth.append(TruthSpan(names[letter], start, start + 1))
    return label_trace(HEADER, scene, 0.0, truth)


def test_an_unsure_gesture_that_is_meant_asks_for_less_and_a_sure_one_that_is_not_for_more() -> None:
    takes = [take(("F", 0.65), ("S", 0.95), meant="FS"), take(("S", 0.85))]
    now = evaluate_thresholds(takes, ALIKE)
    assert (now.missed, now.false) == (1, 1)
    found = suggest(takes, ALIKE, GESTURES, TRIED)
    assert (found.missed, found.false) == (0, 0)
    assert (found.thresholds.required_confidence("fist"), found.thresholds.required_confidence("stop")) == (
        0.6,
        0.9,
    )


def test_what_makes_no_difference_stays_as_it_is() -> None:
    found = suggest([take(("F", 0.95), meant="F")], ALIKE, GESTURES, TRIED)
    assert found.thresholds == ALIKE


def test_no_miss_is_bought_with_a_start_that_nobody_meant() -> None:
    takes = [take(("F", 0.65), meant="F"), take(("F", 0.65))]
    assert suggest(takes, ALIKE, GESTURES, TRIED).thresholds == ALIKE


def test_no_start_that_nobody_meant_is_taken_away_for_a_miss() -> None:
    takes = [take(("F", 0.85), meant="F"), take(("F", 0.85))]
    assert suggest(takes, ALIKE, GESTURES, TRIED).thresholds == ALIKE


def test_of_confidences_that_do_alike_the_nearest_to_the_usual_one_is_taken() -> None:
    found = suggest([take(("2", 0.78))], ALIKE, GESTURES, TRIED)  # nobody meant it: 0.8 and 0.9 both help
    assert found.thresholds.confidence_of == (("two", 0.8),)


def test_keep_stays_where_it_is() -> None:
    found = suggest([take(("F", 0.5), meant="F")], ALIKE, GESTURES, (0.3, 0.45))
    assert (found.missed, found.thresholds.keep) == (0, 0.4)
    assert found.thresholds.required_confidence("fist") == 0.45


def test_every_play_is_a_step() -> None:
    steps: list[int] = []
    suggest([take(("F", 0.9))], ALIKE, GESTURES, TRIED, lambda: steps.append(1))
    assert len(steps) == rounds(GESTURES, TRIED)
