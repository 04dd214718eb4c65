"""What other thresholds would have made of recorded traces: misses against false activations. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from agent.core.debounce import Debouncer
from agent.core.intent import Courses
from agent.core.smoothing import Smoother
from agent.core.thresholds import Thresholds
from agent.core.trace import TraceHeader, TraceRecord
from agent.core.types import GestureStarted, HandObservation

LATE_S = 0.5  # a start may come this long after its span: hold and smoothing take their time
HOUR_S = 3600.0

Steps: TypeAlias = Sequence[tuple[str, float, tuple[HandObservation, ...] | None]]


@dataclass(frozen=True, slots=True)
class TruthSpan:
    """A gesture that was made on purpose, in seconds from the start of its trace."""

    gesture: str
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True)
class LabelledTrace:
    """One trace, smoothed once for all thresholds, and what was truly shown in it."""

    start: float
    length_s: float
    labels: tuple[str, ...]
    steps: Steps  # camera, time, readings; None: the camera was closed
    truth: tuple[TruthSpan, ...]

    @property
    def idle_s(self) -> float:
        """Seconds in which no gesture was made on purpose."""
        covered, end = 0.0, 0.0
        for span in sorted(self.truth, key=lambda span: span.from_s):
            start, stop = max(span.from_s, end), min(span.to_s + LATE_S, self.length_s)
            covered, end = covered + max(0.0, stop - start), max(end, stop)
        return self.length_s - covered


@dataclass(frozen=True, slots=True)
class TuningResult:
    """What one set of thresholds made of all traces."""

    thresholds: Thresholds
    gestures: int = 0  # made on purpose
    missed: int = 0  # of these, without a start
    wrong: int = 0  # starts while a gesture was made: another one, or the same once more
    false: int = 0  # starts while none was made
    idle_s: float = 0.0
    length_s: float = 0.0
    delays_s: tuple[float, ...] = ()  # from the begin of a gesture to its start

    def __add__(self, other: TuningResult) -> TuningResult:
        return TuningResult(
            self.thresholds,
            self.gestures + other.gestures,
            self.missed + other.missed,
            self.wrong + other.wrong,
            self.false + other.false,
            self.idle_s + other.idle_s,
            self.length_s + other.length_s,
            self.delays_s + other.delays_s,
        )

    @property
    def unmeant(self) -> int:
        """Starts that nobody meant."""
        return self.false + self.wrong

    @property
    def missed_share(self) -> float:
        """0..1; 0 where nothing was to be missed."""
        return self.missed / self.gestures if self.gestures else 0.0

    @property
    def false_per_hour(self) -> float:
        """Of time in which no gesture was made."""
        return self.false * HOUR_S / self.idle_s if self.idle_s else 0.0

    @property
    def delay_s(self) -> float | None:
        """The median."""
        return sorted(self.delays_s)[len(self.delays_s) // 2] if self.delays_s else None

    @property
    def cost(self) -> tuple[float, float, float]:
        """What is wanted small: misses, starts that nobody meant, delay.

        Where nobody says what was shown: starts, and how long and how clearly one must show a gesture.
        """
        if self.gestures:
            return self.missed_share, self.unmeant, round(self.delay_s or 0.0, 3)
        return self.false, self.thresholds.hold_s, self.thresholds.confidence


def label_trace(
    header: TraceHeader, records: Iterable[TraceRecord], smoothing_s: float, truth: Iterable[TruthSpan] = ()
) -> LabelledTrace:
    """Smooth a trace."""
    smoother, courses = Smoother(smoothing_s, header.labels), Courses(header.labels)
    steps: list[tuple[str, float, tuple[HandObservation, ...] | None]] = []
    end = header.at
    for record in records:
        end = max(end, record.at)
        if record.kind == "stop":
            steps.append((record.camera, record.at, None))
        elif record.observations:
            smoothed = tuple(courses.feed(smoother.feed(observation)) for observation in record.observations)
            steps.append((record.camera, record.at, smoothed))
    return LabelledTrace(header.at, end - header.at, header.labels, steps, tuple(truth))


def evaluate_thresholds(labelled_traces: Iterable[LabelledTrace], thresholds: Thresholds) -> TuningResult:
    """Play all takes with these thresholds."""
    total = TuningResult(thresholds)
    for labelled in labelled_traces:
        total += _judge(labelled, thresholds, list(_starts(labelled, thresholds)))
    return total


def _starts(labelled: LabelledTrace, thresholds: Thresholds) -> Iterator[tuple[float, str]]:
    debouncer = Debouncer(thresholds, labelled.labels)
    for camera, at, observations in labelled.steps:
        if observations is None:
            debouncer.end(camera, at)
            continue
        for observation in observations:
            for event in debouncer.feed(observation):
                if isinstance(event, GestureStarted):
                    yield event.at - labelled.start, event.gesture


def _judge(
    labelled: LabelledTrace, thresholds: Thresholds, starts: Iterable[tuple[float, str]]
) -> TuningResult:
    """A gesture counts for one start; what is left over is wrong, or false where nothing was shown."""
    delays: dict[TruthSpan, float] = {}
    wrong = false = 0
    for at_s, gesture in starts:
        shown = [span for span in labelled.truth if span.from_s <= at_s <= span.to_s + LATE_S]
        hit = next((span for span in shown if span.gesture == gesture and span not in delays), None)
        if hit:
            delays[hit] = at_s - hit.from_s
        elif shown:
            wrong += 1
        else:
            false += 1
    return TuningResult(
        thresholds,
        gestures=len(labelled.truth),
        missed=len(labelled.truth) - len(delays),
        wrong=wrong,
        false=false,
        idle_s=labelled.idle_s,
        length_s=labelled.length_s,
        delays_s=tuple(delays.values()),
    )


def grid(
    base: Thresholds,
    confidences: Iterable[float],
    holds_s: Iterable[float],
    releases_s: Iterable[float],
    *,
    raised: Iterable[float] = (),
    lean: Iterable[float] = (),
    of: str | None = None,
) -> list[Thresholds]:
    """Every combination, the base first.

    A confidence is tried for all gestures alike, `keep` as far below it as in the base, or for the gesture
    `of` alone, and all else as in the base. `raised` and `lean` are those of the base where nothing else is
    to be tried.
    """
    sure = [_alike(base, c) if of is None else base.with_confidence(of, c) for c in confidences]
    found = [
        replace(one, hold_s=h, release_s=r, raised=up, lean=way)
        for one, h, r, up, way in itertools.product(
            sure, holds_s, releases_s, list(raised) or [base.raised], list(lean) or [base.lean]
        )
    ]
    return list(dict.fromkeys([base, *found]))


def _alike(base: Thresholds, confidence: float) -> Thresholds:
    keep = max(0.0, round(confidence - (base.confidence - base.keep), 6))
    return replace(base, confidence=confidence, confidence_of=(), keep=keep)


def sweep(
    labelled_traces: Sequence[LabelledTrace],
    settings: Iterable[Thresholds],
    step: Callable[[], None] = lambda: None,
) -> list[TuningResult]:
    """The outcome of each, in order; `step` is called after each."""
    outcomes = []
    for thresholds in settings:
        outcomes.append(evaluate_thresholds(labelled_traces, thresholds))
        step()
    return outcomes


def unbeaten(outcomes: Sequence[TuningResult]) -> list[TuningResult]:
    """Those that no other one beats in all costs at once (the Pareto front).

    Of equal ones only the first is kept.
    """
    costs = {o.cost: o for o in reversed(outcomes)}
    front = [
        o for cost, o in costs.items() if not any(_beats(other, cost) for other in costs if other != cost)
    ]
    return sorted(front, key=lambda o: o.cost)


def _beats(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True))
