"""Rules as plain frozen data: the result of reading the rule files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from agent.core.numbers import number_or_none, read_json
from agent.core.thresholds import Thresholds
from agent.core.types import ActionKind, Hand, Place

Move = Literal["left", "right", "up", "down", "wave"]
Axis = Literal["horizontal", "vertical"]
Trigger = Literal["gesture", "sequence", "both", "move", "dial"]
Json: TypeAlias = Any  # what a JSON document can hold

ANY = "any"  # in place of a gesture: every gesture


@dataclass(frozen=True, slots=True)
class Zone:
    """A named part of a camera's image; `box` is left, top, right, bottom as shares of the frame."""

    name: str
    box: tuple[float, float, float, float]
    camera: str | None = None
    min_hand: float = 0.0

    def contains(self, place: Place | None) -> bool:
        """Whether the centre of a hand lies inside; False where its place is unknown."""
        left, top, right, bottom = self.box
        return place is not None and left <= place.x_share <= right and top <= place.y_share <= bottom


@dataclass(frozen=True, slots=True)
class ValueIs:
    """A test of the last value of an MQTT topic; `path` selects a value in a JSON payload.

    The test fails where the topic had no value yet, the payload is not JSON although a path is given, or the
    path leads nowhere.
    """

    topic: str
    path: tuple[str, ...] = ()
    is_: str | float | bool | None = None
    not_: str | float | bool | None = None
    above: float | None = None
    below: float | None = None

    def holds(self, payload: str | None) -> bool:
        """Whether a payload passes the test; None stands for a topic without a value."""
        value = value_at(payload, self.path)
        if value is None:
            return False
        number = as_number(value)
        return (
            (self.is_ is None or _same(value, self.is_))
            and (self.not_ is None or not _same(value, self.not_))
            and (self.above is None or (number is not None and number > self.above))
            and (self.below is None or (number is not None and number < self.below))
        )

    @property
    def wanted(self) -> str:
        """The test as text."""
        words = {"is": self.is_, "is not": self.not_, "above": self.above, "below": self.below}
        where = f" at {'.'.join(self.path)}" if self.path else ""
        return self.topic + where + "".join(f" {word} {v}" for word, v in words.items() if v is not None)


@dataclass(frozen=True, slots=True)
class Between:
    """A time range of the day, in local time; `start` after `end` runs through midnight."""

    start: dt.time
    end: dt.time

    def contains(self, time: dt.time) -> bool:
        """Whether a time lies in the range, `start` included, `end` excluded."""
        if self.start <= self.end:
            return self.start <= time < self.end
        return time >= self.start or time < self.end


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions under which a rule fires; None means that the condition is not set.

    `gestures` are alternatives, or the steps of a sequence in order; `ANY` stands for every gesture.
    """

    trigger: Trigger
    gestures: tuple[str, ...]
    hand: Hand | None = None
    camera: str | None = None
    person: int | None = None
    zone: Zone | None = None
    min_hand: float = 0.0  # hand height / frame height
    armed: bool = False
    within_s: float = 0.0  # sequence: from the first start to the last
    move: Move | Axis | None = None
    between: Between | None = None
    values: tuple[ValueIs, ...] = ()


@dataclass(frozen=True, slots=True)
class ActionTemplate:
    """An action with templates in `target`, `payload` and `options`; a payload that is not text is JSON."""

    kind: ActionKind
    target: str
    payload: Json = ""
    retain: bool = False
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Dial:
    """A value that follows the hand's movement.

    It goes from `low` to `high` while the hand moves `travel` hand heights upwards, or to the person's right.
    It is sent at most every `every_s` seconds, and only after a change of at least `step`. `follow` is a
    topic (with a path into its JSON) that gives the current value when the hand takes hold; without it the
    dial continues from its last value.
    """

    low: float
    high: float
    step: float
    start: float
    every_s: float = 0.1
    travel: float = 4.0
    follow: tuple[str, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: conditions, the thresholds its gesture is judged by, and actions."""

    id: str
    when: Conditions
    do: tuple[ActionTemplate, ...]
    thresholds: Thresholds
    max_age_s: float = 5.0
    cooldown_s: float = 0.0  # matches within this time after a firing are dropped
    per_person: bool = False  # whether each person has a cooldown of their own
    repeat_s: float | None = None  # interval of firing while held; None: fires once
    continue_matching: bool = False  # fires whatever fired before it, and lets later rules fire
    dial: Dial | None = None


@dataclass(frozen=True, slots=True)
class WakeGesture:
    """A gesture that arms rules for `window_s` seconds, renewed by every armed rule that fires."""

    gesture: str
    window_s: float
    thresholds: Thresholds
    hand: Hand | None = None


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules, in the order in which they are tried, with their zones and wake gesture."""

    rules: tuple[Rule, ...] = ()
    zones: tuple[Zone, ...] = ()
    wake: WakeGesture | None = None

    @property
    def topics(self) -> frozenset[str]:
        """MQTT topics whose last value some rule reads."""
        asked = {test.topic for rule in self.rules for test in rule.when.values}
        followed = {rule.dial.follow[0] for rule in self.rules if rule.dial and rule.dial.follow}
        return frozenset(asked | followed)

    @property
    def profiles(self) -> tuple[Thresholds, ...]:
        """Every distinct set of thresholds used by a rule or by the wake gesture."""
        wake = [self.wake.thresholds] if self.wake else []
        return tuple(dict.fromkeys([*(rule.thresholds for rule in self.rules), *wake]))


@dataclass(frozen=True, slots=True)
class RuleContext:
    """Inputs of rules other than gestures: local time and the last payloads of topics."""

    time: dt.time | None = None  # local; None: unknown, and no `between` matches
    values: Mapping[str, str] = field(default_factory=dict)  # topic: last payload


def value_at(payload: str | None, path: tuple[str, ...]) -> Json | None:
    """Return the text of a payload, or the value at `path` in its JSON; None where there is none."""
    if payload is None:
        return None
    if not path:
        return payload.strip()
    try:
        value = read_json(payload)
        for part in path:
            value = value[int(part)] if isinstance(value, list) else value[part]
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    return value


def as_number(value: Json) -> float | None:
    """Return a finite float from a number or its text; None for anything else, booleans included."""
    return number_or_none(value)


def _same(value: Json, wanted: str | float | bool) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return str(value).lower() == str(wanted).lower()
    if isinstance(wanted, str):
        return str(value) == wanted
    return as_number(value) == wanted
