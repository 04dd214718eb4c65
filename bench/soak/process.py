"""Measurements of a process from /proc."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """One measurement."""

    at_s: float
    rss_mb: float
    threads: int
    fds: int
    children: int


def sample(pid: int, at_s: float) -> Sample:
    """Measure now; `at_s` is seconds since the start of the soak test."""
    process = Path(f"/proc/{pid}")
    status = dict(
        line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line
    )
    fds = len(list((process / "fd").iterdir()))
    rss_mb = int(status["VmRSS"].split()[0]) * 1024 / 1e6
    return Sample(at_s, rss_mb, int(status["Threads"]), fds, len(children(pid)))


def children(pid: int) -> list[int]:
    """Return the ids of the child processes, zombies included."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return found
