"""The two clocks that a deadline needs: one that never jumps, one that survives a reboot."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Deadline:
    """When something is worth nothing any more.

    `boot_s` counts from the start of the machine (`boot` names that start) and decides as long as
    the machine runs, so that a wall clock set an hour back or forth neither delays nor drops.
    `wall_s` decides after a reboot only. `created_wall_s` unmasks a clock that fell behind.
    """

    boot: str
    boot_s: float
    wall_s: float
    created_wall_s: float

    @property
    def lifetime_s(self) -> float:
        """From creation to here, in seconds."""
        return self.wall_s - self.created_wall_s


class Clocks:
    """The machine's clocks; tests pass a subclass whose hands they turn."""

    @cached_property
    def boot(self) -> str:
        """Name of this run of the machine; a random one where the system has none."""
        try:
            return _BOOT_ID.read_text(encoding="ascii").strip()
        except OSError:
            return uuid.uuid4().hex

    def boot_s(self) -> float:
        """Seconds since the machine started, time asleep included where the system can tell."""
        if hasattr(time, "CLOCK_BOOTTIME"):
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.monotonic()

    def wall_s(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def deadline(self, in_s: float) -> Deadline:
        """The moment `in_s` seconds from now."""
        wall = self.wall_s()
        return Deadline(self.boot, self.boot_s() + in_s, wall + in_s, wall)

    def left_s(self, deadline: Deadline) -> float:
        """Seconds to the deadline, 0 or less when it has passed.

        After a reboot with a clock behind the time of creation nobody knows the age: it has passed.
        """
        if deadline.boot == self.boot:
            return deadline.boot_s - self.boot_s()
        wall = self.wall_s()
        return deadline.wall_s - wall if wall >= deadline.created_wall_s else -1.0
