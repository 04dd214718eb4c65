"""Traces: the classifier's output for every hand, frame by frame, as lines of JSON. Pure.

A trace holds numbers, never images, and suffices to run smoothing, debounce and rules again. The first line
is the header; it alone has the key `gesture_agent_trace`. Each further line has a kind, `is`:

    frame     one frame of one camera; `hands` holds an observation for every tracked hand
    silence   empty observations of a camera that gave no frame for a while
    stop      the camera was closed or lost: its active gestures ended at once
    world     the local time and the topic values that rules read, from here on
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from agent.core.gesture_pipeline import GesturePipeline, PipelineResult
from agent.core.numbers import read_float, read_int, read_json, write_json
from agent.core.rules import RuleContext, RuleVerdict
from agent.core.rules.engine import EMPTY_CONTEXT
from agent.core.thresholds import Thresholds
from agent.core.types import HANDS, Floats, HandObservation, HandPosture, Place

VERSION = 1
MARK = "gesture_agent_trace"  # a key that only the header has
DIGITS = 4  # of scores and places: much finer than any threshold
POSTURE_DIGITS = {
    "raised": 3, "lean": 1, "facing": 1, "forearm": 1, "upright": 1, "to_face": 3, "to_hand": 3,
}  # fmt: skip
POSTURE_FLAGS = ("at_face", "bodiless", "elbow_hidden")
AT_DIGITS = 6  # microseconds

Kind: TypeAlias = Literal["frame", "silence", "stop"]


@dataclass(frozen=True, slots=True)
class TraceHeader:
    """First line of a trace: what holds for all of it.

    `started` is the wall-clock time of `at` (RFC 3339), None for a video file. `settings` is a fingerprint of
    all settings.
    """

    at: float
    labels: tuple[str, ...]
    smoothing_s: float
    thresholds: Thresholds
    settings: str = ""  # fingerprint of all settings
    started: str | None = None  # RFC 3339


@dataclass(frozen=True, slots=True, eq=False)
class TraceRecord:
    """One step of the pipeline in a trace: the observations of one camera at one time, before smoothing."""

    kind: Kind
    at: float
    camera: str
    observations: tuple[HandObservation, ...] = ()
    context: RuleContext = EMPTY_CONTEXT


def replay_record(
    record: TraceRecord, pipeline: GesturePipeline, why: list[RuleVerdict] | None = None
) -> PipelineResult:
    """Run one record through a pipeline, exactly as the daemon does."""
    if record.kind == "stop":
        return pipeline.stop(record.camera, record.at, record.context)
    return pipeline.process_observations(record.observations, record.context, why)


class TraceEncoder:
    """Encodes records as trace lines. An unchanged context is not written again."""

    def __init__(self) -> None:
        self._world: Mapping[str, Any] = _context(EMPTY_CONTEXT)

    def header(self, header: TraceHeader) -> str:
        """Return the first line of a trace."""
        return _line({MARK: VERSION, **asdict(header), "at": round(header.at, AT_DIGITS)})

    def lines(self, record: TraceRecord) -> Iterator[str]:
        """Yield a record's line, after a line for a changed context; none for a silence without hands."""
        if record.kind == "silence" and not record.observations:
            return
        at, context = round(record.at, AT_DIGITS), _context(record.context)
        if context != self._world:
            self._world = context
            yield _line({"is": "world", "at": at, **context})
        line: dict[str, Any] = {"is": record.kind, "at": at, "camera": record.camera}
        if record.observations:
            line["hands"] = [_hand(observation) for observation in record.observations]
        yield _line(line)


def is_header(line: str) -> bool:
    """Whether a line is a trace header, of this version or another."""
    return line.lstrip().startswith(f'{{"{MARK}":')


def read_header(line: str) -> TraceHeader:
    """Parse the first line of a trace. Raises `ValueError` that says what was seen."""
    data = _parsed(line)
    if data.get(MARK) != VERSION:
        raise ValueError(f"this is version {data.get(MARK)!r} of traces; this agent reads version {VERSION}")
    try:
        return TraceHeader(
            at=read_float(data["at"]),
            labels=tuple(map(str, data["labels"])),
            smoothing_s=read_float(data["smoothing_s"], 0.0),
            thresholds=_thresholds(data["thresholds"]),
            settings=str(data["settings"]),
            started=None if data["started"] is None else str(data["started"]),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise ValueError(f"the header lacks or garbles {exc}") from exc


def _thresholds(data: dict[str, Any]) -> Thresholds:
    """Parse thresholds; old traces lack the confidences of single gestures."""
    of = tuple((str(gesture), read_float(asked, 0, 1)) for gesture, asked in data.get("confidence_of", ()))
    numbers: dict[str, Any] = {
        name: bool(value) if name == "at_face" else read_float(value)
        for name, value in data.items()
        if name != "confidence_of"
    }
    return Thresholds(**numbers, confidence_of=of)


class TraceDecoder:
    """Decodes the lines of one trace, in order, into records."""

    def __init__(self, header: TraceHeader) -> None:
        self._labels = len(header.labels)
        self._world = EMPTY_CONTEXT

    def records(self, line: str) -> Iterator[TraceRecord]:
        """Yield the record of a line, if it has one. Raises `ValueError` that says what was seen."""
        data = _parsed(line)
        try:
            if data["is"] == "world":
                self._world = _context_of(data)
                return
            if data["is"] not in get_args(Kind):
                raise ValueError(f"a line of kind {data['is']!r}")
            at, camera = read_float(data["at"]), str(data["camera"])
            observations = tuple(self._observation(at, camera, hand) for hand in data.get("hands", ()))
        except (KeyError, TypeError, AttributeError) as exc:
            raise ValueError(f"the line lacks or garbles {exc}") from exc
        yield TraceRecord(data["is"], at, camera, observations, self._world)

    def _observation(self, at: float, camera: str, data: Mapping[str, Any]) -> HandObservation:
        if data["hand"] not in HANDS:
            raise ValueError(f"a hand {data['hand']!r}, expected left or right")
        place, track = data.get("place"), data.get("track")
        return HandObservation(
            at,
            camera,
            read_int(data["person"]),
            data["hand"],
            self._scores(data.get("scores")),
            None if place is None else Place(*map(read_float, place)),
            None if track is None else read_int(track),
            _posture_of(data),
        )

    def _scores(self, scores: Any) -> Floats | None:
        if scores is None:
            return None
        if len(scores) != self._labels:
            raise ValueError(f"{len(scores)} scores for {self._labels} labels")
        return np.array([read_float(score) for score in scores], np.float32)


def _line(data: Mapping[str, Any]) -> str:
    return write_json(data)


def _parsed(line: str) -> dict[str, Any]:
    try:
        data = read_json(line)
    except ValueError as exc:
        raise ValueError(f"no JSON: {exc}") from exc
    if not isinstance(data, dict):
        raise ValueError(  # noqa: TRY004 (one kind of error for all that a file can hold)
            f"a JSON object is expected, this is {type(data).__name__}"
        )
    return data


def _hand(observation: HandObservation) -> dict[str, Any]:
    """One observation as JSON; None values are left out."""
    data: dict[str, Any] = {"person": observation.person, "hand": observation.hand}
    if observation.track is not None:
        data["track"] = observation.track
    if observation.scores is not None:
        data["scores"] = _rounded(observation.scores.tolist())
    if (place := observation.place) is not None:
        data["place"] = _rounded((place.x_share, place.y_share, place.height_share, place.aspect))
    return data | _posture(observation.posture)


def _posture(posture: HandPosture) -> dict[str, Any]:
    """A posture as JSON; unknown values are left out."""
    numbers = {
        name: round(value, digits)
        for name, digits in POSTURE_DIGITS.items()
        if (value := getattr(posture, name)) is not None
    }
    return numbers | {name: True for name in POSTURE_FLAGS if getattr(posture, name)}


def _posture_of(data: Mapping[str, Any]) -> HandPosture:
    """Parse a posture; numbers that old traces lack are unknown."""
    known: dict[str, Any] = {
        name: read_float(data[name]) for name in POSTURE_DIGITS if data.get(name) is not None
    }
    return HandPosture(**known, **{name: True for name in POSTURE_FLAGS if data.get(name)})


def _rounded(numbers: Iterable[float]) -> list[float]:
    return [round(number, DIGITS) for number in numbers]


def _context(context: RuleContext) -> dict[str, Any]:
    return {"time": f"{context.time:%H:%M}" if context.time else None, "values": dict(context.values)}


def _context_of(data: Mapping[str, Any]) -> RuleContext:
    time = data["time"]
    values = {str(topic): str(value) for topic, value in data["values"].items()}
    return RuleContext(None if time is None else dt.time.fromisoformat(time), values)
