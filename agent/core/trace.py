"""A trace: what the classifier said of every hand, moment by moment, as lines of JSON. Pure.

Numbers, never a picture: enough to run smoothing, debounce and rules again. The first line is the
header; it alone has the key `gesture_agent_trace`. Each further line has a kind, `is`:

    frame     one frame of one camera; `hands` holds a reading for every hand that is followed
    silence   the same for a camera that gave no frame for a while
    stop      the camera was closed or lost: what was on in its view ended at once
    world     the local time and the values of topics that rules ask for, from here on
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from agent.core.interpreter import Interpreter, Understood
from agent.core.numbers import read_float, read_int, read_json, write_json
from agent.core.rules import Verdict, World
from agent.core.rules.engine import QUIET
from agent.core.thresholds import Thresholds
from agent.core.types import HANDS, Bearing, Floats, Place, Reading

VERSION = 1
MARK = "gesture_agent_trace"  # a key of the first line, and of no other
DIGITS = 4  # of scores and places: far finer than any threshold
BEARING_DIGITS = {
    "raised": 3, "lean": 1, "facing": 1, "forearm": 1, "upright": 1, "to_face": 3, "to_hand": 3,
}  # fmt: skip
BEARING_FLAGS = ("at_face", "bodiless", "elbow_hidden")
AT_DIGITS = 6  # microseconds

Kind: TypeAlias = Literal["frame", "silence", "stop"]


@dataclass(frozen=True, slots=True)
class Header:
    """What holds for a whole trace. `started` is the wall-clock time of `at`, None for a clip."""

    at: float
    labels: tuple[str, ...]
    smoothing_s: float
    thresholds: Thresholds
    settings: str = ""  # fingerprint of all settings
    started: str | None = None  # RFC 3339


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """What reached the core at once: the readings of one camera, as the classifier gave them."""

    kind: Kind
    at: float
    camera: str
    readings: tuple[Reading, ...] = ()
    world: World = QUIET


def play(moment: Moment, mind: Interpreter, why: list[Verdict] | None = None) -> Understood:
    """What the core makes of a moment, exactly as in the daemon."""
    if moment.kind == "stop":
        return mind.stop(moment.camera, moment.at, moment.world)
    return mind.read(moment.readings, moment.world, why)


class Encoder:
    """The lines of one trace, in order. A world that did not change is not written again."""

    def __init__(self) -> None:
        self._world: Mapping[str, Any] = _world(QUIET)

    def header(self, header: Header) -> str:
        """The first line."""
        return _line({MARK: VERSION, **asdict(header), "at": round(header.at, AT_DIGITS)})

    def lines(self, moment: Moment) -> Iterator[str]:
        """One line, two where the world has changed, none for a silence of no hands."""
        if moment.kind == "silence" and not moment.readings:
            return
        at, world = round(moment.at, AT_DIGITS), _world(moment.world)
        if world != self._world:
            self._world = world
            yield _line({"is": "world", "at": at, **world})
        line: dict[str, Any] = {"is": moment.kind, "at": at, "camera": moment.camera}
        if moment.readings:
            line["hands"] = [_hand(reading) for reading in moment.readings]
        yield _line(line)


def is_header(line: str) -> bool:
    """Whether a text's first line is that of a trace, of this version or another."""
    return line.lstrip().startswith(f'{{"{MARK}":')


def read_header(line: str) -> Header:
    """Raises `ValueError` that says what was seen."""
    data = _parsed(line)
    if data.get(MARK) != VERSION:
        raise ValueError(f"this is version {data.get(MARK)!r} of traces; this agent reads version {VERSION}")
    try:
        return Header(
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
    """Traces of before gestures could ask for a confidence of their own have none."""
    of = tuple((str(gesture), read_float(asked, 0, 1)) for gesture, asked in data.get("confidence_of", ()))
    numbers: dict[str, Any] = {
        name: bool(value) if name == "at_face" else read_float(value)
        for name, value in data.items()
        if name != "confidence_of"
    }
    return Thresholds(**numbers, confidence_of=of)


class Decoder:
    """Lines back to moments."""

    def __init__(self, header: Header) -> None:
        self._labels = len(header.labels)
        self._world = QUIET

    def moments(self, line: str) -> Iterator[Moment]:
        """None or one. Raises `ValueError` that says what was seen."""
        data = _parsed(line)
        try:
            if data["is"] == "world":
                self._world = _world_of(data)
                return
            if data["is"] not in get_args(Kind):
                raise ValueError(f"a line of kind {data['is']!r}")
            at, camera = read_float(data["at"]), str(data["camera"])
            readings = tuple(self._reading(at, camera, hand) for hand in data.get("hands", ()))
        except (KeyError, TypeError, AttributeError) as exc:
            raise ValueError(f"the line lacks or garbles {exc}") from exc
        yield Moment(data["is"], at, camera, readings, self._world)

    def _reading(self, at: float, camera: str, data: Mapping[str, Any]) -> Reading:
        if data["hand"] not in HANDS:
            raise ValueError(f"a hand {data['hand']!r}, expected left or right")
        place, track = data.get("place"), data.get("track")
        return Reading(
            at,
            camera,
            read_int(data["person"], 0),
            data["hand"],
            self._scores(data.get("scores")),
            None if place is None else Place(*map(read_float, place)),
            None if track is None else read_int(track),
            _bearing_of(data),
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


def _hand(reading: Reading) -> dict[str, Any]:
    """What is None is left out."""
    data: dict[str, Any] = {"person": reading.person, "hand": reading.hand}
    if reading.track is not None:
        data["track"] = reading.track
    if reading.scores is not None:
        data["scores"] = _rounded(reading.scores.tolist())
    if (place := reading.place) is not None:
        data["place"] = _rounded((place.x_share, place.y_share, place.height_share, place.aspect))
    return data | _bearing(reading.bearing)


def _bearing(bearing: Bearing) -> dict[str, Any]:
    """What is not known is left out."""
    numbers = {
        name: round(value, digits)
        for name, digits in BEARING_DIGITS.items()
        if (value := getattr(bearing, name)) is not None
    }
    return numbers | {name: True for name in BEARING_FLAGS if getattr(bearing, name)}


def _bearing_of(data: Mapping[str, Any]) -> Bearing:
    """Traces of before a number was kept do not know it."""
    known: dict[str, Any] = {
        name: read_float(data[name]) for name in BEARING_DIGITS if data.get(name) is not None
    }
    return Bearing(**known, **{name: True for name in BEARING_FLAGS if data.get(name)})


def _rounded(numbers: Iterable[float]) -> list[float]:
    return [round(number, DIGITS) for number in numbers]


def _world(world: World) -> dict[str, Any]:
    return {"time": f"{world.time:%H:%M}" if world.time else None, "values": dict(world.values)}


def _world_of(data: Mapping[str, Any]) -> World:
    time = data["time"]
    values = {str(topic): str(value) for topic, value in data["values"].items()}
    return World(None if time is None else dt.time.fromisoformat(time), values)
