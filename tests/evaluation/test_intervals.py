"""Intervals of 95 %, against the tables of textbooks."""

from __future__ import annotations

import pytest

from agent.evaluation.intervals import poisson, wilson


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.0253, 5.572), (17, 9.903, 27.219), (100, 81.36, 121.63)]
)
def test_counts_have_the_exact_interval_of_poisson(count: int, low: float, high: float) -> None:
    assert poisson(count) == pytest.approx((low, high), abs=0.01)


def test_seventeen_starts_in_32_minutes_are_18_to_50_an_hour() -> None:
    assert [round(end * 60 / 32.4) for end in poisson(17)] == [18, 50]


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"), [(0, 22, 0.0, 0.149), (58, 465, 0.098, 0.158), (22, 22, 0.851, 1.0)]
)
def test_shares_have_the_interval_of_wilson(hits: int, of: int, low: float, high: float) -> None:
    assert wilson(hits, of) == pytest.approx((low, high), abs=0.001)


def test_a_share_of_nothing_may_be_anything() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
