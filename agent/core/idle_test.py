"""Idle test: counts gestures that start while nobody means one, by the settings in force and by others. Pure.

Every set of thresholds has a debouncer of its own, fed with the same smoothed observations, so hours need no
more memory than seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agent.core.debounce import Debouncer
from agent.core.intent import STRICT, HandHistories
from agent.core.smoothing import Smoother
from agent.core.thresholds import Thresholds
from agent.core.timestamps import wall_seconds
from agent.core.trace import TraceHeader, TraceRecord
from agent.core.types import GestureStarted, HandObservation

SETTING_OF: Mapping[str, str] = {"onset_s": "onset", "doubtful_hold_s": "doubtful_hold", "hold_s": "hold"}
"""Names of thresholds in the settings, where they differ."""
HOLDS_S = (0.5, 0.8)  # longer holds to try
PAUSE_S = 5.0  # frames further apart than this leave time unwatched; nobody in view: some two frames/s
CONFIDENCE_STEPS, MOST_CONFIDENCE = (0.05, 0.1, 0.2), 0.97  # added to the confidence of a gesture, up to


@dataclass(frozen=True, slots=True)
class Alternative:
    """One other value of one setting, and the thresholds with it; `setting` is its key in config.toml."""

    setting: str
    value: float
    thresholds: Thresholds


@dataclass(frozen=True, slots=True, eq=False)
class IdleStart:
    """A gesture that started by mistake.

    `at_s` is in seconds since the trace's beginning, `wall_s` since 1970; None where the trace has no date.
    """

    at_s: float
    wall_s: float | None
    camera: str
    gesture: str
    score: float
    observation: HandObservation


@dataclass(slots=True, eq=False)
class IdleCount:
    """Counts of an idle test: seconds watched, starts by the settings in force, starts by each alternative.

    `watched_s` adds up over cameras; time without frames is not in it. `hands_s` is time with a hand in view.
    """

    watched_s: float = 0.0
    hands_s: float = 0.0
    starts: list[IdleStart] = field(default_factory=list)
    left: dict[Alternative, int] = field(default_factory=dict)

    @property
    def an_hour(self) -> float:
        """Starts an hour; 0 where nothing was watched."""
        return len(self.starts) * 3600 / self.watched_s if self.watched_s else 0.0


def alternatives(now: Thresholds, gestures: Sequence[str]) -> list[Alternative]:
    """Return stricter values to try: one setting at a time, none that is as strict already."""
    found = []
    for name, value in _strict(now):
        changed: dict[str, Any] = {name: value}
        found.append(Alternative(SETTING_OF.get(name, name), value, replace(now, **changed)))
    for gesture in gestures:
        asked = now.required_confidence(gesture)
        steps = dict.fromkeys(min(MOST_CONFIDENCE, round(asked + step, 2)) for step in CONFIDENCE_STEPS)
        found += [
            Alternative(f"confidence_of.{gesture}", value, now.with_confidence(gesture, value))
            for value in steps
            if value > asked
        ]
    return found


def _strict(now: Thresholds) -> Iterator[tuple[str, float]]:
    yield from (("hold_s", value) for value in HOLDS_S if value > now.hold_s)
    higher = ("raised", "face_gap", "hand_gap", "doubtful_confidence", "doubtful_hold_s")
    for name, value in STRICT.items():
        if value > getattr(now, name) if name in higher else value < getattr(now, name):
            yield name, value


class IdleTest:
    """Feeds trace records to the debouncers and counts what starts."""

    def __init__(self, header: TraceHeader, now: Thresholds, others: Iterable[Alternative]) -> None:
        """`header` gives the labels and the smoothing, and is of the first trace."""
        self.count = IdleCount()
        self.begin(header)
        self._smoother = Smoother(header.smoothing_s, header.labels)
        self._histories = HandHistories(header.labels)
        self._now = Debouncer(now, header.labels)
        self._others = {other: Debouncer(other.thresholds, header.labels) for other in others}
        self.count.left = dict.fromkeys(self._others, 0)
        self._frame_at: dict[str, float] = {}

    def begin(self, header: TraceHeader) -> None:
        """Begin the trace of this header; hands that go on from the one before keep their state."""
        self._began_at = header.at
        self._began_wall_s = wall_seconds(header.started) if header.started else None

    def feed(self, record: TraceRecord) -> list[IdleStart]:
        """Count one record; return the gestures that it starts by the settings in force."""
        if record.kind == "stop":
            for debouncer in (self._now, *self._others.values()):
                debouncer.end(record.camera, record.at)
            self._frame_at.pop(record.camera, None)
            return []
        if record.kind == "frame":
            self._watch(record)
        starts: list[IdleStart] = []
        for raw in record.observations:
            observation = self._histories.feed(self._smoother.feed(raw))
            starts += [
                self._start(event, observation)
                for event in self._now.feed(observation)
                if isinstance(event, GestureStarted)
            ]
            for other, debouncer in self._others.items():
                events = debouncer.feed(observation)
                self.count.left[other] += sum(isinstance(event, GestureStarted) for event in events)
        self.count.starts += starts
        return starts

    def _start(self, event: GestureStarted, observation: HandObservation) -> IdleStart:
        at_s = event.at - self._began_at
        wall_s = None if self._began_wall_s is None else self._began_wall_s + at_s
        return IdleStart(at_s, wall_s, event.camera, event.gesture, event.score, observation)

    def _watch(self, record: TraceRecord) -> None:
        """Add the time since the camera's last frame; a longer pause is no time watched."""
        passed = record.at - self._frame_at.get(record.camera, record.at)
        self._frame_at[record.camera] = record.at
        if 0 < passed <= PAUSE_S:
            self.count.watched_s += passed
            self.count.hands_s += passed if record.observations else 0.0
