"""Evaluates thresholds on recorded traces: misses against false positives. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from agent.core.debounce import Debouncer
from agent.core.intent import HandHistories
from agent.core.smoothing import Smoother
from agent.core.thresholds import Thresholds
from agent.core.trace import TraceHeader, TraceRecord
from agent.core.types import GestureStarted, HandObservation

LATE_S = 0.5  # a start may come this long after its span, because of hold and smoothing
HOUR_S = 3600.0

Steps: TypeAlias = Sequence[tuple[str, float, tuple[HandObservation, ...] | None]]


@dataclass(frozen=True, slots=True)
class TruthSpan:
    """A labelled gesture of a trace, in seconds from its start."""

    gesture: str
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True)
class LabelledTrace:
    """A trace, smoothed once for all thresholds, with the labelled gestures in it."""

    start: float
    length_s: float
    labels: tuple[str, ...]
    steps: Steps  # camera, time, observations; None: the camera was closed
    truth: tuple[TruthSpan, ...]

    @property
    def idle_s(self) -> float:
        """Seconds outside all labelled gestures."""
        covered, end = 0.0, 0.0
        for span in sorted(self.truth, key=lambda span: span.from_s):
            start, stop = max(span.from_s, end), min(span.to_s + LATE_S, self.length_s)
            covered, end = covered + max(0.0, stop - start), max(end, stop)
        return self.length_s - covered


@dataclass(frozen=True, slots=True)
class TuningResult:
    """Outcome of one set of thresholds on all traces; supports `+`."""

    thresholds: Thresholds
    gestures: int = 0  # labelled
    missed: int = 0  # labelled gestures without a start
    wrong: int = 0  # starts during a labelled gesture: another gesture, or the labelled one again
    false: int = 0  # starts outside all labelled gestures
    idle_s: float = 0.0
    length_s: float = 0.0
    delays_s: tuple[float, ...] = ()  # from the beginning of a labelled gesture to its start

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
        """Number of false positives, within labelled gestures and outside."""
        return self.false + self.wrong

    @property
    def missed_share(self) -> float:
        """Share of labelled gestures that were missed, 0..1; 0 where none are labelled."""
        return self.missed / self.gestures if self.gestures else 0.0

    @property
    def false_per_hour(self) -> float:
        """False positives an hour, of time outside labelled gestures."""
        return self.false * HOUR_S / self.idle_s if self.idle_s else 0.0

    @property
    def delay_s(self) -> float | None:
        """Median delay from the beginning of a gesture to its start, in s; None without starts."""
        return sorted(self.delays_s)[len(self.delays_s) // 2] if self.delays_s else None

    @property
    def cost(self) -> tuple[float, float, float]:
        """Costs to minimise, in order: share of misses, false positives, delay.

        Without labels: starts, then the hold and the confidence.
        """
        if self.gestures:
            return self.missed_share, self.unmeant, round(self.delay_s or 0.0, 3)
        return self.false, self.thresholds.hold_s, self.thresholds.confidence


def label_trace(
    header: TraceHeader, records: Iterable[TraceRecord], smoothing_s: float, truth: Iterable[TruthSpan] = ()
) -> LabelledTrace:
    """Smooth a trace and attach its labels. `smoothing_s` is the time constant in seconds."""
    smoother, histories = Smoother(smoothing_s, header.labels), HandHistories(header.labels)
    steps: list[tuple[str, float, tuple[HandObservation, ...] | None]] = []
    end = header.at
    for record in records:
        end = max(end, record.at)
        if record.kind == "stop":
            steps.append((record.camera, record.at, None))
        elif record.observations:
            smoothed = tuple(
                histories.feed(smoother.feed(observation)) for observation in record.observations
            )
            steps.append((record.camera, record.at, smoothed))
    return LabelledTrace(header.at, end - header.at, header.labels, steps, tuple(truth))


def evaluate_thresholds(labelled_traces: Iterable[LabelledTrace], thresholds: Thresholds) -> TuningResult:
    """Replay all labelled traces with one set of thresholds and add up the outcomes."""
    total = TuningResult(thresholds)
    for labelled in labelled_traces:
        total += _judge(labelled, thresholds, list(gesture_starts(labelled, thresholds)))
    return total


def gesture_starts(labelled: LabelledTrace, thresholds: Thresholds) -> Iterator[tuple[float, str]]:
    """Yield time from the beginning, in s, and gesture of every start with these thresholds, in order."""
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
    """A labelled gesture matches one start; further starts are `wrong`, or `false` where none is labelled."""
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
    """Return every combination of thresholds to try, the base first.

    `confidences` apply to all gestures alike, with `keep` as far below as in the base, or to the gesture `of`
    alone with all else as in the base. Empty `raised` and `lean` keep the base's values.
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
    """Evaluate each set of thresholds, in order; `step` is called after each."""
    outcomes = []
    for thresholds in settings:
        outcomes.append(evaluate_thresholds(labelled_traces, thresholds))
        step()
    return outcomes


def unbeaten(outcomes: Sequence[TuningResult]) -> list[TuningResult]:
    """Return the outcomes that no other one beats in all costs at once (the Pareto front), sorted by cost.

    Of equal ones only the first is kept.
    """
    costs = {o.cost: o for o in reversed(outcomes)}
    front = [
        o for cost, o in costs.items() if not any(_beats(other, cost) for other in costs if other != cost)
    ]
    return sorted(front, key=lambda o: o.cost)


def _beats(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True))
