"""Phases of a soak test: warm-up, quiet, faults, recovery, quiet again."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from faults import Faults
from process import Sample, sample
from rich.console import Console
from stage import Stage
from support.waiting import until

PARTS = 15  # shares of the time: warm-up, quiet, faults, recovery, quiet
APART_S = (3.0, 20.0)  # seconds between two faults: from, to
SAMPLE_S = 2.0
READY_S = 300.0  # seconds to load the networks on a busy machine
ANSWER_S = 120.0
REHEARSE = "gesture/soak/bridge/request/test_rule", '{"rule": "lamp"}'  # rows, whatever is recognized
LINE_S = 60.0  # seconds between progress lines without a terminal


@dataclass
class Peace:
    """A phase without faults, in which the daemon is measured."""

    samples: list[Sample] = field(default_factory=list)
    health: dict[str, Any] = field(default_factory=dict)

    def median(self, what: str) -> float:
        """Return the median of a field of the samples."""
        return statistics.median(getattr(sample, what) for sample in self.samples)


class Course:
    """One soak test. Ctrl-C ends the faults early."""

    def __init__(self, stage: Stage, seed: int, seconds: float, console: Console) -> None:
        draw = random.Random(seed)  # noqa: S311 (repeatable, not secret)
        self.stage, self.seconds, self.console = stage, seconds, console
        self.samples: list[Sample] = []
        self.start, self.end = Peace(), Peace()
        self.happened: Counter[str] = Counter()  # faults
        self.early = False
        self._draw = draw
        self._faults = Faults(stage, draw, self._wait)
        self._phase = "warm-up"
        self._line_due = 0.0
        self._began = time.monotonic()

    def run(self) -> None:
        """Run all phases, until the agent has ended."""
        until(lambda: self.stage.subscriber.on("bridge/state"), "the agent is ready", READY_S)
        self._began = time.monotonic()
        part = self.seconds / PARTS
        self._wait(part)
        self._peace("peace", self.start, part)
        self._phase = "faults"
        with contextlib.suppress(KeyboardInterrupt):
            self._rage(self._began + (PARTS - 2) * part)
        self._phase = "recovery"
        self._wait(part)
        self._peace("peace again", self.end, part)
        self._phase = "end"
        self.stage.agent.send_signal(signal.SIGTERM)
        self.stage.agent.wait(60)
        time.sleep(1.0)  # the subscriber receives the last messages

    def _rage(self, ends: float) -> None:
        try:
            while time.monotonic() < ends:
                fault = self._faults.draw()
                self.happened[fault.__name__] += 1
                fault()
                self._wait(self._draw.uniform(*APART_S))
        finally:
            self.early = time.monotonic() < ends

    def _peace(self, name: str, peace: Peace, seconds: float) -> None:
        self._phase = name
        before = len(self.samples)
        self._wait(seconds)
        peace.samples = self.samples[before:]
        asked = time.time()
        subscriber = self.stage.subscriber
        subscriber.publish("gesture/soak/bridge/request/health", "{}")
        answers = "bridge/response/health"
        until(lambda: any(h.at > asked for h in subscriber.on(answers)), "the answer about health", ANSWER_S)
        peace.health = json.loads(subscriber.on(answers)[-1].payload)["data"]

    def _wait(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            time.sleep(min(left, SAMPLE_S))
            self._look()
            self.stage.subscriber.say(*REHEARSE)

    def _look(self) -> None:
        agent = self.stage.agent
        if agent.poll() is not None:
            said = self.stage.log.read_text()[-3000:]
            raise SystemExit(f"the agent ended with {agent.returncode}:\n{said}")
        now_s = time.monotonic() - self._began
        self.samples.append(sample(agent.pid, now_s))
        line = self._line(self.samples[-1])
        if self.console.is_terminal:
            self.console.print(line, end="\r", highlight=False, no_wrap=True)
        elif now_s >= self._line_due:
            self._line_due = now_s + LINE_S
            self.console.print(line, highlight=False)

    def _line(self, seen: Sample) -> str:
        started = len(self.stage.subscriber.on("camera/front/action"))
        return (
            f"{seen.at_s / 60:5.1f} of {self.seconds / 60:g} min  {self._phase:<12}"
            f"{seen.rss_mb:6.1f} MB  {seen.threads} threads  {seen.fds} fds  {seen.children} children  "
            f"{sum(self.happened.values())} faults  {started} gestures heard "
        )
