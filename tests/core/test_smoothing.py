from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from timelines import scores

from agent.core.smoothing import GAP_S, Smoother
from agent.core.types import LABELS, Floats, HandObservation

STOP, RANDOM = LABELS.index("stop"), LABELS.index("random")


def smooth(steps: list[tuple[float, Floats | None]], tau_s: float = 0.15) -> list[Floats]:
    smoother = Smoother(tau_s, LABELS)
    found = [smoother.feed(HandObservation(at, "front", 0, "right", seen)).scores for at, seen in steps]
    assert all(one is not None for one in found)
    return [one for one in found if one is not None]


def test_a_step_rises_by_the_time_constant() -> None:
    found = smooth([(i * 0.05, scores("stop")) for i in range(4)])
    assert [one[STOP] for one in found] == pytest.approx([1 - math.exp(-i * 0.05 / 0.15) for i in range(4)])


@given(st.lists(st.floats(0.001, 0.4), min_size=1, max_size=30))
def test_the_curve_does_not_depend_on_the_frame_rate(gaps_s: list[float]) -> None:
    times = np.cumsum([0.0, *gaps_s])
    last = smooth([(float(at), scores("stop")) for at in times])[-1]
    assert last[STOP] == pytest.approx(1 - math.exp(-times[-1] / 0.15), abs=1e-5)


@given(st.lists(st.tuples(st.floats(0.001, 3.0), st.sampled_from([None, *LABELS])), max_size=30))
def test_probabilities_stay_probabilities(steps: list[tuple[float, str | None]]) -> None:
    at, timeline = 0.0, []
    for dt, label in steps:
        at += dt
        timeline.append((at, None if label is None else scores(label, 0.9)))
    for found in smooth(timeline):
        assert found.sum() == pytest.approx(1, abs=1e-4)
        assert found.min() >= -1e-6


def test_a_missing_hand_fades_to_no_gesture() -> None:
    found = smooth(
        [*[(i * 0.05, scores("stop")) for i in range(20)], *[(1 + i * 0.05, None) for i in range(20)]]
    )
    assert found[19][STOP] > 0.99
    assert found[22][STOP] < 0.5
    assert found[-1][RANDOM] > 0.99


def test_one_frame_gone_wrong_does_not_carry_the_day() -> None:
    steps = [scores("fist") if i == 10 else scores("stop") for i in range(12)]
    found = smooth([(i / 15, one) for i, one in enumerate(steps)])
    assert found[10].argmax() == STOP


def test_a_gap_starts_from_no_gesture_again() -> None:
    found = smooth([*[(i * 0.05, scores("stop")) for i in range(20)], (0.95 + GAP_S + 0.1, scores("stop"))])
    assert found[-1][RANDOM] == 1


def test_a_late_observation_changes_nothing() -> None:
    steps = [(i * 0.05, scores("stop")) for i in range(10)]
    late = [*steps[:6], (0.1, scores("fist")), *steps[6:]]
    assert smooth(late)[-1] == pytest.approx(smooth(steps)[-1])


def test_a_clock_that_jumps_back_does_not_freeze_the_scores() -> None:
    found = smooth(
        [(60 + i * 0.05, scores("stop")) for i in range(9)] + [(i * 0.05, scores("ok")) for i in range(20)]
    )
    assert found[-1].argmax() == LABELS.index("ok")


def test_scores_that_are_no_numbers_count_as_no_hand() -> None:
    broken = np.full(len(LABELS), np.nan, np.float32)
    assert smooth([(0.0, scores("stop")), (0.1, broken)])[-1][RANDOM] == 1


def test_no_time_constant_means_no_smoothing() -> None:
    assert smooth([(0.0, None), (0.01, scores("stop"))], tau_s=0)[-1][STOP] == 1


def test_hands_are_smoothed_apart_and_forgotten_when_long_gone() -> None:
    smoother = Smoother(0.15, LABELS)
    for track in range(100):
        smoother.feed(HandObservation(track * 1.0, "front", 0, "right", scores("stop"), track=track))
    assert len(smoother._smooth) <= 11
