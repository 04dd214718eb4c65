"""Deadlines on two clocks: boot time, which never jumps, and wall time, which survives a reboot."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a message expires.

    `boot_s` counts from the start of the machine (`boot` identifies that boot) and decides as long as
    the machine runs, so that a change of the wall clock neither delays nor drops a message.
    `wall_s` decides after a reboot only. `created_wall_s` detects a wall clock that was set back.
    """

    boot: str
    boot_s: float
    wall_s: float
    created_wall_s: float

    @property
    def lifetime_s(self) -> float:
        """Lifetime in seconds, from creation to deadline."""
        return self.wall_s - self.created_wall_s


class Clocks:
    """Boot clock and wall clock of the machine; tests pass a subclass with settable clocks."""

    @cached_property
    def boot(self) -> str:
        """Id of the current boot of the machine; random where the system has none."""
        try:
            return _BOOT_ID.read_text(encoding="ascii").strip()
        except OSError:
            return uuid.uuid4().hex

    def boot_s(self) -> float:
        """Seconds since the machine booted, including suspend where the system can tell."""
        if hasattr(time, "CLOCK_BOOTTIME"):
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.monotonic()

    def wall_s(self) -> float:
        """Wall-clock time in seconds since 1970."""
        return time.time()

    def deadline(self, in_s: float) -> Deadline:
        """Return the deadline `in_s` seconds from now."""
        wall = self.wall_s()
        return Deadline(self.boot, self.boot_s() + in_s, wall + in_s, wall)

    def left_s(self, deadline: Deadline) -> float:
        """Return the seconds left until the deadline, 0 or less when it has passed.

        After a reboot with a wall clock before the time of creation the age is unknown: it counts as expired.
        """
        if deadline.boot == self.boot:
            return deadline.boot_s - self.boot_s()
        wall = self.wall_s()
        return deadline.wall_s - wall if wall >= deadline.created_wall_s else -1.0
