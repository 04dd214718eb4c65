from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from agent.core.tracking import BoxTracker, distance
from agent.core.types import Box


def test_what_moves_a_little_keeps_its_number() -> None:
    tracker = BoxTracker(forget_s=1)
    seen = [tracker.update(i / 10, [Box(100 + 5 * i, 100, 50), Box(400 - 5 * i, 100, 50)]) for i in range(10)]
    assert seen == [[0, 1]] * 10


def test_the_order_of_the_boxes_does_not_matter() -> None:
    tracker = BoxTracker(forget_s=1)
    tracker.update(0, [Box(100, 100, 50), Box(400, 100, 50)])
    assert tracker.update(0.1, [Box(402, 100, 50), Box(98, 100, 50)]) == [1, 0]


def test_what_comes_back_in_time_is_the_same() -> None:
    tracker = BoxTracker(forget_s=1)
    tracker.update(0, [Box(100, 100, 50)])
    tracker.update(0.5, [])
    assert tracker.update(0.9, [Box(110, 100, 50)]) == [0]


def test_what_comes_back_too_late_is_another() -> None:
    tracker = BoxTracker(forget_s=1)
    tracker.update(0, [Box(100, 100, 50)])
    assert tracker.update(1.1, [Box(100, 100, 50)]) == [1]


def test_what_jumps_is_another() -> None:
    tracker = BoxTracker(forget_s=1)
    tracker.update(0, [Box(100, 100, 50)])
    assert tracker.update(0.1, [Box(200, 100, 50)]) == [1]


def test_a_number_is_never_used_twice() -> None:
    tracker = BoxTracker(forget_s=0.1)
    numbers = [tracker.update(i, [Box(100, 100, 50)])[0] for i in range(5)]
    assert numbers == [0, 1, 2, 3, 4]
    assert tracker.new_id() == 5


def test_two_that_stand_close_are_distinguished_by_the_nearer_one() -> None:
    tracker = BoxTracker(forget_s=1)
    tracker.update(0, [Box(100, 100, 100), Box(150, 100, 100)])
    assert tracker.update(0.1, [Box(140, 100, 100)]) == [1]


def test_the_living_are_known_by_number() -> None:
    tracker = BoxTracker(forget_s=1)
    tracker.update(0, [Box(100, 100, 50), Box(400, 100, 50)])
    tracker.update(0.8, [Box(400, 100, 50)])
    assert tracker.ids == {0, 1}
    tracker.update(1.2, [Box(400, 100, 50)])
    assert tracker.ids == {1}


def test_a_box_without_a_size_is_like_nothing() -> None:
    assert distance(Box(0, 0, 0), Box(0, 0, 10)) == math.inf


@given(
    st.lists(st.tuples(st.floats(0, 640), st.floats(0, 480), st.floats(10, 300)), max_size=8),
    st.integers(1, 4),
)
def test_every_box_has_a_number_of_its_own(boxes: list[tuple[float, float, float]], rounds: int) -> None:
    tracker = BoxTracker(forget_s=1)
    for i in range(rounds):
        numbers = tracker.update(i / 10, [Box(*box) for box in boxes])
        assert len(set(numbers)) == len(numbers) == len(boxes)
