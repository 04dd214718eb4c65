import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.capture.timeline import MOST_S, Timeline


def times(stamps: list[float | None], fps: float = 10.0) -> list[float]:
    timeline = Timeline(fps)
    return [timeline.time_of(stamp) for stamp in stamps]


def test_uneven_stamps_are_kept_and_begin_at_zero():
    assert times([5.0, 5.1, 5.9, 6.0]) == pytest.approx([0, 0.1, 0.9, 1.0])


@pytest.mark.parametrize(
    "stamps",
    [
        [0.0, 0.0, 0.0, 0.0],
        [None, None, None, None],
        [math.nan, math.nan, math.inf, -math.inf],
        [9.0, 8.0, 7.0, 6.0],
        [0.0, 1e-9, 2e-9, 3e-9],
    ],
)
def test_stamps_that_say_nothing_count_pictures(stamps: list[float | None]):
    assert times(stamps) == pytest.approx([0, 0.1, 0.2, 0.3])


def test_a_jump_back_goes_on_from_there():
    assert times([100.0, 100.1, 0.0, 0.1, 0.3]) == pytest.approx([0, 0.1, 0.2, 0.3, 0.5])


def test_a_huge_gap_passes_in_seconds():
    assert times([0.0, 95443.7, 95443.8]) == pytest.approx([0, MOST_S, MOST_S + 0.1])


@given(st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True), max_size=50), st.floats(0.1, 240))
def test_times_grow_by_seconds_at_most_whatever_the_stamps_do(stamps: list[float | None], fps: float):
    for one, other in pairwise(times(stamps, fps)):
        assert 0 < other - one <= max(MOST_S, 1 / fps) + 1e-6
