"""Progress of a build: TensorRT's nested phases as a share of 0..1 and an estimate of the time left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agent.inference.trt.library import Library


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a build.

    `share` is None where TensorRT does not report it (8.6); `left_s` is an estimate.
    """

    name: str
    phase: str
    share: float | None
    elapsed_s: float
    left_s: float | None


@dataclass(slots=True)
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class Phases:
    """Receives progress from TensorRT's threads. `cancelled` makes TensorRT stop at the next step."""

    def __init__(
        self, name: str, expected_s: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.cancelled = False
        self._name, self._expected_s, self._clock = name, expected_s, clock
        self._began = clock()
        self._lock = threading.Lock()
        self._open: dict[str, _Phase] = {}
        self._latest = ""
        self._share = 0.0
        self._told = False

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        """Begin a phase with this number of steps, inside another or at the top."""
        with self._lock:
            self._told = True
            self._open[phase] = _Phase(parent, max(steps, 1))
            self._latest = phase

    def step(self, phase: str, number: int) -> None:
        """Complete a step (counted from 0)."""
        with self._lock:
            if phase in self._open:
                self._open[phase].done = number + 1

    def finish(self, phase: str) -> None:
        """End the phase."""
        with self._lock:
            self._open.pop(phase, None)

    def now(self) -> Progress:
        """Return the progress, which never decreases.

        Time left: from the last build, else from the share done.
        """
        with self._lock:
            elapsed = self._clock() - self._began
            tops = [name for name, phase in self._open.items() if phase.parent not in self._open]
            self._share = max([self._share, *(self._within(name) for name in tops)])
            share = self._share if self._told else None
        left = None
        if self._expected_s:
            left = max(self._expected_s - elapsed, 0.0) or None
        elif share and share > 0.02:
            left = elapsed * (1 - share) / share
        return Progress(self._name, self._latest, share, elapsed, left)

    def _within(self, name: str) -> float:
        """Share of a phase: its completed steps, and the nested phases of the present one."""
        phase = self._open[name]
        inner = [self._within(child) for child, other in self._open.items() if other.parent == name]
        return min((phase.done + max(inner, default=0.0)) / phase.steps, 1.0)


def monitor(library: Library, phases: Phases) -> Any | None:
    """Return TensorRT's progress monitor; None where it has none (8.6)."""
    base = getattr(library.trt, "IProgressMonitor", None)
    if base is None:
        return None

    class Monitor(base):  # type: ignore[misc,valid-type]
        """TensorRT progress monitor. An exception here would end the process, so none is raised."""

        def __init__(self) -> None:
            super().__init__()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            phases.start(phase_name, parent_phase, num_steps)

        def phase_finish(self, phase_name: str) -> None:
            phases.finish(phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            phases.step(phase_name, step)
            return not phases.cancelled

    return Monitor()
