"""The reckoning: intervals as in the tables of statistics, and a truth that `tune` reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.core.types import LABELS
from agent.evaluation.truth import read_truth
from training.synthetic.scenes.measure import join_truth
from training.synthetic.scenes.report import hours_interval, share_interval


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.0253, 5.572), (3, 0.619, 8.767), (10, 4.795, 18.39)]
)
def test_the_interval_of_a_count_is_that_of_poisson(count: int, low: float, high: float) -> None:
    assert hours_interval(count, 1.0) == pytest.approx((low, high), rel=1e-3, abs=1e-6)
    assert hours_interval(count, 2.0) == pytest.approx((low / 2, high / 2), rel=1e-3, abs=1e-6)


def test_the_interval_of_a_share_holds_it_and_stays_between_0_and_1() -> None:
    assert share_interval(0, 100) == pytest.approx((0.0, 0.037), abs=1e-3)
    assert share_interval(50, 100) == pytest.approx((0.404, 0.596), abs=1e-3)
    assert share_interval(0, 0) == (0.0, 1.0)


def test_the_truth_of_all_parts_is_one_table_for_tune(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"gestures-000{number}.truth").write_text(
            f"gestures-000{number},fist,{number},{number + 1},1.50\n"
        )
    for number in (1, 2):  # the third was never finished
        (tmp_path / f"gestures-000{number}.jsonl").touch()
    spans = read_truth(join_truth(tmp_path), LABELS)
    assert {str(k): [(s.gesture, s.from_s, s.to_s) for s in v] for k, v in spans.items()} == {
        "gestures-0001": [("fist", 1.0, 2.0)],
        "gestures-0002": [("fist", 2.0, 3.0)],
    }
