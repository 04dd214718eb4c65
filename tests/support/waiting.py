"""Waiting for what another thread or process brings about."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 60.0  # a test that fails may take it; one that passes does not

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, patience_s: float = PATIENCE_S, every_s: float = 0.005) -> T:
    """Wait until `condition` is true; what it said then. Fails, naming `what`, when that does not come."""
    ends = time.monotonic() + patience_s
    while not (found := condition()):
        if time.monotonic() > ends:
            raise AssertionError(f"waited {patience_s:g} s in vain: {what}")
        time.sleep(every_s)
    return found
