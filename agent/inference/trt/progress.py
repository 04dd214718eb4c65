"""How far a build is: TensorRT tells phases inside phases, this makes a share of 0..1 and a time left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agent.inference.trt.library import Library


@dataclass(frozen=True, slots=True)
class Progress:
    """Of one build. `share` is None where TensorRT does not tell (8.6); `left_s` is a guess."""

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
    """Listens to a build from TensorRT's threads. `cancelled` makes TensorRT give up at the next step."""

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
        """A phase of so many steps begins, inside another or at the top."""
        with self._lock:
            self._told = True
            self._open[phase] = _Phase(parent, max(steps, 1))
            self._latest = phase

    def step(self, phase: str, number: int) -> None:
        """A step (counted from 0) is done."""
        with self._lock:
            if phase in self._open:
                self._open[phase].done = number + 1

    def finish(self, phase: str) -> None:
        """The phase is over."""
        with self._lock:
            self._open.pop(phase, None)

    def now(self) -> Progress:
        """Never goes back. Time left: from the last build of this network, else from the share done."""
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
        """Share of a phase: its steps, and of the present one what the phases inside it have done."""
        phase = self._open[name]
        inner = [self._within(child) for child, other in self._open.items() if other.parent == name]
        return min((phase.done + max(inner, default=0.0)) / phase.steps, 1.0)


def monitor(library: Library, phases: Phases) -> Any | None:
    """What TensorRT calls; None where it has no such thing (8.6)."""
    base = getattr(library.trt, "IProgressMonitor", None)
    if base is None:
        return None

    class Monitor(base):  # type: ignore[misc,valid-type]
        """An exception in here would end the process, so nothing in here can raise."""

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
