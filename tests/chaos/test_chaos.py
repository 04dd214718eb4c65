"""The short form of `make chaos`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from brokers import mosquitto_program
from run import run


@pytest.mark.timeout(170)
@pytest.mark.parametrize("max_age_s", [600.0, 2.0], ids=["long-lived", "short-lived"])
def test_no_committed_row_is_lost_or_late(tmp_path: Path, max_age_s: float):
    mosquitto_program()
    seed = int.from_bytes(os.urandom(3), "big")
    report = run(seconds=8, seed=seed, max_age_s=max_age_s, rate=40, folder=tmp_path)
    assert report.rows.committed > 20
    assert report.kept_the_promise, report
