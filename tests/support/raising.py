"""For tests whose whole point is that nothing is raised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def does_not_raise(what: str) -> Iterator[None]:
    """Fail, naming `what`, when the block raises."""
    try:
        yield
    except Exception as exc:  # noqa: BLE001 (whatever it is, it must not be)
        pytest.fail(f"{what} must not raise, and raised {exc!r}")
