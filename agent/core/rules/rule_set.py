"""What the user's rules say, as plain data: the result of reading the rule files."""

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

ANY = "any"  # as a gesture: every one of them


@dataclass(frozen=True, slots=True)
class Zone:
    """A part of a camera's picture; `box` is left, top, right, bottom as shares of the frame."""

    name: str
    box: tuple[float, float, float, float]
    camera: str | None = None
    min_hand: float = 0.0

    def contains(self, place: Place | None) -> bool:
        """Whether the middle of a hand lies inside; a hand at an unknown place does not."""
        left, top, right, bottom = self.box
        return place is not None and left <= place.x_share <= right and top <= place.y_share <= bottom


@dataclass(frozen=True, slots=True)
class ValueIs:
    """A test of the last value of an MQTT topic; `path` leads into it where it is JSON.

    A topic that was never heard, text that is not JSON where it must be, and a path that leads
    nowhere all fail the test.
    """

    topic: str
    path: tuple[str, ...] = ()
    is_: str | float | bool | None = None
    not_: str | float | bool | None = None
    above: float | None = None
    below: float | None = None

    def holds(self, payload: str | None) -> bool:
        """Whether a payload passes."""
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
        """The test in words."""
        words = {"is": self.is_, "is not": self.not_, "above": self.above, "below": self.below}
        where = f" at {'.'.join(self.path)}" if self.path else ""
        return self.topic + where + "".join(f" {word} {v}" for word, v in words.items() if v is not None)


@dataclass(frozen=True, slots=True)
class Between:
    """A part of the day in local time; `start` after `end` runs through midnight."""

    start: dt.time
    end: dt.time

    def contains(self, time: dt.time) -> bool:
        """The start belongs to it, the end does not."""
        if self.start <= self.end:
            return self.start <= time < self.end
        return time >= self.start or time < self.end


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must be so for a rule to fire; what is None does not matter.

    `gestures` are alternatives, or the steps of a sequence in order; ANY stands for every gesture.
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
    """One action; `target`, `payload` and `options` are templates. A payload that is no text is JSON."""

    kind: ActionKind
    target: str
    payload: Json = ""
    retain: bool = False
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Dial:
    """A value that follows the hand.

    It goes from `low` to `high` while the hand moves `travel` hand heights upwards, or to the
    person's right. It is sent every `every_s` at most, and only when it has moved by `step`.
    `follow` is a topic (with a path into its JSON) that says where the value stands when it is
    grabbed; without one it goes on from where it was left.
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
    """When this, do that."""

    id: str
    when: Conditions
    do: tuple[ActionTemplate, ...]
    thresholds: Thresholds
    max_age_s: float = 5.0
    cooldown_s: float = 0.0  # after a firing, further matches are swallowed
    per_person: bool = False  # the cooldown counts for each person by itself
    repeat_s: float | None = None  # while held; None: once until released
    continue_matching: bool = False  # fires whatever fired before it, and lets others fire after it
    dial: Dial | None = None


@dataclass(frozen=True, slots=True)
class WakeGesture:
    """A gesture that arms the rules that ask for it, for `window_s` after it or after the last of them."""

    gesture: str
    window_s: float
    thresholds: Thresholds
    hand: Hand | None = None


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules, in the order in which they are tried."""

    rules: tuple[Rule, ...] = ()
    zones: tuple[Zone, ...] = ()
    wake: WakeGesture | None = None

    @property
    def topics(self) -> frozenset[str]:
        """MQTT topics whose last value some rule asks for."""
        asked = {test.topic for rule in self.rules for test in rule.when.values}
        followed = {rule.dial.follow[0] for rule in self.rules if rule.dial and rule.dial.follow}
        return frozenset(asked | followed)

    @property
    def profiles(self) -> tuple[Thresholds, ...]:
        """Every distinct set of thresholds that a rule or the wake gesture is judged by."""
        wake = [self.wake.thresholds] if self.wake else []
        return tuple(dict.fromkeys([*(rule.thresholds for rule in self.rules), *wake]))


@dataclass(frozen=True, slots=True)
class RuleContext:
    """What the rules may ask besides gestures, as data."""

    time: dt.time | None = None  # local; None: unknown, and no time of day matches
    values: Mapping[str, str] = field(default_factory=dict)  # topic: last payload


def value_at(payload: str | None, path: tuple[str, ...]) -> Json | None:
    """The text itself, or what a path of keys and indices leads to in its JSON; None if nothing."""
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
    """A finite number, also one that is written as text; None for anything else, truth values too."""
    return number_or_none(value)


def _same(value: Json, wanted: str | float | bool) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return str(value).lower() == str(wanted).lower()
    if isinstance(wanted, str):
        return str(value) == wanted
    return as_number(value) == wanted
