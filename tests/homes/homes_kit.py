"""Where the homes are, patience with them, and what was measured in them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from prepare import READY
from support.waiting import until

HOMES = "GESTURE_AGENT_HOMES"  # their folder; without it all of this is skipped
LONG_S = 240.0  # two slow cores
LOOK_EVERY_S = 0.5  # they have better things to do than to answer us

FIGURES: list[str] = []  # printed at the end


def home(name: str) -> Path:
    """The folder of a home that is ready; skips the test where it is not."""
    folder = Path(os.environ[HOMES]).resolve() / name
    if not (folder / READY).exists():
        pytest.skip(f"{folder} could not be prepared (make test-homes says why)")
    return folder


def eventually(condition: Callable[[], object], what: str, patience_s: float = LONG_S) -> None:
    """Wait for what a home brings about; fail when it does not come."""
    until(condition, what, patience_s, LOOK_EVERY_S)


def share(values: list[float], part: float) -> float:
    """The value below which that part of them lies."""
    return sorted(values)[min(len(values) - 1, round(part * len(values)))]
