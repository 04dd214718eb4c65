"""Clocks that stand still until they are told."""

from __future__ import annotations

from agent.delivery.clocks import Clocks


class Hands(Clocks):
    """Clocks whose hands the test turns."""

    def __init__(self) -> None:
        self.boot = "first"  # type: ignore[misc]
        self.boot_now = 100.0
        self.wall_now = 1_000_000.0

    def boot_s(self) -> float:
        return self.boot_now

    def wall_s(self) -> float:
        return self.wall_now

    def both(self, seconds: float) -> None:
        self.boot_now += seconds
        self.wall_now += seconds
