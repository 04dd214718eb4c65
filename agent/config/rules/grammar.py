"""Grammar of the rule files as pydantic models: keys, types, limits and defaults.

`rules/rules.schema.json` is generated from these models.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    ValidationInfo,
    field_validator,
    model_validator,
)

from agent.config.addresses import as_uri
from agent.config.key_names import KEY_NAMES
from agent.config.problems import did_you_mean, unknown
from agent.config.settings import FORMS, Angle, Duration, Id, Lean, Model, Raised, Share, Widths
from agent.core.rules.templates import FIELDS, fields_of
from agent.core.rules.topics import shown_topic, topic_problem

KNOWN = "known names"  # validation context: {"gesture": [...], "camera": [...], "zone": [...]}

MAX_RULES = 500  # in one file
MAX_STEPS = 8  # of a sequence
MAX_WITHIN_S = 60.0  # of a sequence
MAX_FRAMES = 3000  # of a case: five minutes
LETTERS = {"T": "thumbs_up", "F": "fist", "S": "stop", "O": "ok", "2": "two", "?": "random"}
NOBODY = "."  # no hand, in a case's timeline
MIN_STEP = 1e-6  # of a dial: values are sent with six decimals
MIN_RANGE = 1e-4  # of a dial: a hundred steps
MIN_REPEAT_S = 0.05  # shorter than a frame interval

NO_SUCH_KEY = 'no key is called "{}"; names are those of linux/input-event-codes.h, like KEY_ENTER'
KEY_PATTERN = r"^KEY_[A-Z0-9_]+$"
HTTP_PATTERN = r"^https?://"
HEADER_PATTERN = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"
LETTER_PATTERN = r"^[^.?\s]$"
FORMS[LETTER_PATTERN] = "one letter"
FORMS[KEY_PATTERN] = 'the name of a key, as in "KEY_VOLUMEUP"'
FORMS[HEADER_PATTERN] = "the name of a header: ASCII letters, digits and -"
FORMS[HTTP_PATTERN] = 'an address that begins with "http://" or "https://"'
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


def _time_of_day(value: Any) -> Any:
    if isinstance(value, dt.time) and value.tzinfo is None:
        return value
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'"{value}" is not a time of day; write hours and minutes, as in "22:00"')
    return dt.time(int(match[1]), int(match[2]), int(match[3] or 0))


def _topic(value: Any) -> Any:
    if isinstance(value, str) and (problem := topic_problem(value)):
        raise ValueError(f'"{shown_topic(value)}" is not a topic to name here; {problem}')
    return value


def _header(text: str) -> str:
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise ValueError("a header holds a line end or another control character; headers are one line")
    return text


def _known(kind: str) -> Callable[[str, ValidationInfo], str]:
    """A validator against the names in the validation context; without a context any name passes."""

    def check(name: str, info: ValidationInfo) -> str:
        names = (info.context or {}).get(KNOWN, {}).get(kind)
        if names is not None and name not in names:
            raise ValueError(unknown(kind, name, names))
        return name

    return check


def _key(name: str) -> str:
    if name not in KEY_NAMES:
        raise ValueError(
            unknown("key", name, KEY_NAMES) if did_you_mean(name, KEY_NAMES) else NO_SUCH_KEY.format(name)
        )
    return name


def _template(value: JsonValue) -> JsonValue:
    for field in fields_of(value):
        if field not in FIELDS:
            text = unknown("template field", field, FIELDS)
            raise ValueError(f"{text} (write {{{{{field}}}}} for the text {{{field}}})")
    return value


Gesture = Annotated[str, AfterValidator(_known("gesture"))]
Camera = Annotated[str, AfterValidator(_known("camera"))]
ZoneName = Annotated[str, AfterValidator(_known("zone"))]
Template = Annotated[str, AfterValidator(_template)]
JsonTemplate = Annotated[JsonValue, AfterValidator(_template)]
Topic = Annotated[str, BeforeValidator(_topic, json_schema_input_type=str)]
JsonPath = Annotated[str, Field(min_length=1, max_length=500)]
TimeOfDay = Annotated[dt.time, BeforeValidator(_time_of_day, json_schema_input_type=str)]
Gestures = Annotated[
    list[Gesture], BeforeValidator(_listed, json_schema_input_type=str | list[str]), Field(min_length=1)
]
Key = Annotated[str, Field(pattern=KEY_PATTERN), AfterValidator(_key)]
Keys = Annotated[
    list[Key],
    BeforeValidator(_listed, json_schema_input_type=str | list[str]),
    Field(min_length=1, max_length=6),
]
Url = Annotated[
    str, Field(pattern=HTTP_PATTERN, max_length=2000), AfterValidator(_template), AfterValidator(as_uri)
]
HeaderName = Annotated[str, Field(pattern=HEADER_PATTERN)]
Header = Annotated[Template, AfterValidator(_header)]
Level = Annotated[float, Field(ge=-1e9, le=1e9)]  # of a dial
Value = bool | int | float | str
Hands = Literal["left", "right", "any"]


class Table(Model):
    """Base of all tables of a rule file."""


class OwnThresholds(Table):
    """Thresholds that a rule or the wake gesture can override; None: as in the settings."""

    confidence: Share | None = None
    raised: Raised | None = Field(
        None, description="how high the hand must be: 0 at the hips, 1 at the shoulders"
    )
    lean: Lean | None = Field(
        None, description="how far the hand may lean from upright, in degrees; for fist, stop, ok and two"
    )
    at_face: bool | None = Field(None, description="whether a closed hand at the face counts")
    facing: Angle | None = Field(
        None, description="how far the head may be turned from the camera, in degrees"
    )
    forearm: Angle | None = Field(
        None, description="how far the forearm may be from upright, in degrees; for fist, stop, ok and two"
    )
    upright: Angle | None = Field(None, description="how far the torso may be from upright, in degrees")
    face_gap: Widths | None = Field(None, description="nearest to the face that counts, in hand widths")
    hand_gap: Widths | None = Field(None, description="nearest to another hand that counts, in hand widths")
    still: Widths | None = Field(None, description="fastest that counts, in hand widths a second")


class WakeTable(OwnThresholds):
    """Wake gesture: arms the rules that have `armed = true`."""

    gesture: Gesture
    hand: Hands = "any"
    hold: Annotated[Duration, Field(le=30)] = 0.8
    window: Annotated[Duration, Field(gt=0, le=3600)] = 6.0


class ZoneTable(Table):
    """A named part of a camera's image."""

    camera: Camera | None = None
    box: tuple[Share, Share, Share, Share] = Field(
        description="left, top, right, bottom as shares of the frame"
    )
    min_hand: Share = Field(0.0, description="hand height / frame height: nearer than a distance")

    @model_validator(mode="after")
    def _has_an_inside(self) -> ZoneTable:
        left, top, right, bottom = self.box
        if left >= right or top >= bottom:
            raise ValueError(f"box {list(self.box)} is empty; write [left, top, right, bottom]")
        return self


class ValueTable(Table):
    """A test of the last value of an MQTT topic."""

    topic: Topic
    json_: JsonPath | None = Field(
        None, alias="json", description="path into JSON, as in state.power or list.0"
    )
    is_: Value | None = Field(None, alias="is")
    not_: Value | None = Field(None, alias="not")
    above: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _tests_something(self) -> ValueTable:
        if all(test is None for test in (self.is_, self.not_, self.above, self.below)):
            raise ValueError('say what the value must be: "is", "not", "above" or "below"')
        if self.above is not None and self.below is not None and self.above >= self.below:
            raise ValueError(f"no value is above {self.above:g} and below {self.below:g}")
        return self


class WhenTable(OwnThresholds):
    """Conditions under which a rule fires; absent keys set no condition."""

    gesture: Gestures | None = Field(None, description='one gesture, a list of alternatives, or "any"')
    sequence: Annotated[list[Gesture], Field(min_length=2, max_length=MAX_STEPS)] | None = None
    both: Gestures | None = Field(None, description="both hands of one person show it at once")
    move: Literal["left", "right", "up", "down", "wave", "horizontal", "vertical"] | None = None
    within: Annotated[Duration, Field(gt=0, le=MAX_WITHIN_S)] | None = None
    hand: Hands = "any"
    camera: Camera | None = None
    person: Annotated[int, Field(ge=0)] | None = None
    zone: ZoneName | None = None
    min_hand: Share = 0.0
    armed: bool = False
    between: tuple[TimeOfDay, TimeOfDay] | None = None
    if_: Annotated[
        list[ValueTable],
        BeforeValidator(_listed, json_schema_input_type=ValueTable | list[ValueTable]),
    ] = Field([], alias="if")
    hold: Annotated[Duration, Field(le=30)] | None = None
    release: Annotated[Duration, Field(le=30)] | None = None

    @model_validator(mode="after")
    def _has_one_trigger(self) -> WhenTable:
        named = [name for name in ("gesture", "sequence", "both") if getattr(self, name)]
        if len(named) != 1:
            seen = " and ".join(named) or "none of them"
            raise ValueError(f'"when" needs one of "gesture", "sequence" and "both"; it has {seen}')
        if self.within is not None and not self.sequence:
            raise ValueError('"within" belongs to a "sequence"; to be held for a time is "hold"')
        if self.move and not self.gesture:
            raise ValueError('"move" needs the "gesture" that is held while the hand moves')
        if self.between and self.between[0] == self.between[1]:
            raise ValueError('"between" begins and ends at the same time; leave it out for the whole day')
        if self.hand != "any" and self.both:
            raise ValueError('"hand" makes no sense with "both"')
        return self


class PublishTable(Table):
    """An MQTT message to publish; a payload that is not text is sent as JSON."""

    topic: Annotated[Topic, AfterValidator(_template)]
    payload: JsonTemplate = ""
    retain: bool = False


class WebhookTable(Table):
    """An HTTP POST request."""

    url: Url
    json_: JsonTemplate = Field(None, alias="json")
    text: Template | None = None
    headers: dict[HeaderName, Header] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_one_body(self) -> WebhookTable:
        if self.text is not None and self.json_ is not None:
            raise ValueError('a webhook sends "json" or "text", not both')
        return self


class ActionTable(Table):
    """Actions of a rule; several keys run in this order."""

    publish: PublishTable | None = None
    webhook: WebhookTable | None = None
    command: Annotated[list[Template], Field(min_length=1)] | None = Field(
        None, description="a program and its arguments; no shell"
    )
    key: Keys | None = Field(None, description="a key, or several pressed together")


class DialTable(Table):
    """A value that follows the hand's movement."""

    topic: Annotated[Topic, AfterValidator(_template)]
    from_: Level = Field(alias="from")
    to: Level
    step: Annotated[float, Field(ge=MIN_STEP, le=1e9)] | None = Field(
        None, description="smallest change that is sent; 1, or a hundredth of a range of fractions"
    )
    every: Annotated[Duration, Field(ge=0.02, le=10)] = 0.1
    travel: Annotated[float, Field(ge=0.1, le=50)] = Field(
        4.0, description="hand heights from one end to the other"
    )
    start: float | None = Field(None, description="where it stands at first; the middle")
    follow: Topic | None = Field(None, description="topic that says where it stands when it is grabbed")
    follow_json: JsonPath | None = None
    payload: JsonTemplate = "{value}"
    retain: bool = False

    @model_validator(mode="after")
    def _has_a_range(self) -> DialTable:
        if self.from_ == self.to:
            raise ValueError(f'"from" and "to" are both {self.to:g}')
        if abs(self.to - self.from_) < MIN_RANGE:
            raise ValueError(f'"from" and "to" must be {MIN_RANGE:g} apart at least')
        if self.step is not None and self.step > abs(self.to - self.from_):
            raise ValueError(f'"step" {self.step:g} is more than there is between "from" and "to"')
        if self.start is not None and not min(self.from_, self.to) <= self.start <= max(self.from_, self.to):
            raise ValueError(f'"start" {self.start:g} is not between "from" and "to"')
        return self


class RuleTable(ActionTable):
    """A rule: conditions and actions."""

    id: Id
    when: WhenTable
    do: Annotated[list[ActionTable], Field(min_length=1, max_length=20)] | None = Field(
        None, description="several actions, in order"
    )
    dial: DialTable | None = None
    repeat: Annotated[Duration, Field(ge=MIN_REPEAT_S)] | None = Field(
        None, description="again and again while held; default is once until released"
    )
    cooldown: Duration | None = None
    per_person: bool = Field(default=False, description="the cooldown counts for each person by itself")
    continue_: bool = Field(
        default=False, alias="continue", description="fires whatever rule fired before it"
    )
    max_age: Annotated[Duration, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> RuleTable:
        turns = self.when.move in {"horizontal", "vertical"}
        if turns and not self.dial:
            raise ValueError(
                f'move = "{self.when.move}" needs a "dial"; a swipe is "left", "right", "up" or "down"'
            )
        if self.dial and not turns:
            raise ValueError('"dial" needs when = { gesture = ..., move = "vertical" } or "horizontal"')
        acts = [self.publish, self.webhook, self.command, self.key, self.do]
        if self.dial and any(acts):
            raise ValueError(
                'a rule with "dial" has no other action; write a second rule with continue = true'
            )
        if not self.dial and not any(acts):
            raise ValueError('the rule does nothing; write "publish", "webhook", "command", "key" or "do"')
        if not self.dial and "value" in fields_of(self.model_dump(include={*ActionTable.model_fields, "do"})):
            raise ValueError('the template field "value" is known in a "dial" only')
        if self.repeat and (self.when.move or self.dial):
            raise ValueError('"repeat" makes no sense with "move"')
        return self


class ExpectTable(Table):
    """One action that a case expects; absent keys are not compared."""

    at: Duration
    rule: str | None = None
    topic: str | None = None
    payload: JsonValue = None
    url: str | None = None
    json_: JsonValue = Field(None, alias="json")
    command: list[str] | None = None
    key: Keys | None = None


Timeline = Annotated[str, Field(max_length=MAX_FRAMES)]


class CaseTable(Table):
    """A test case of this file's rules: a timeline of gestures and all actions expected."""

    title: str
    letters: dict[Annotated[str, Field(pattern=LETTER_PATTERN)], Gesture] = Field(
        default_factory=dict, description="letters of gestures that were taught"
    )
    right: Timeline = Field("", description="one character a frame, 10 frames/s: T F S O 2 . ?")
    left: Timeline = ""
    camera: Camera | None = None
    zone: ZoneName | None = Field(None, description="the hands are in the middle of it")
    path: list[tuple[float, Share, Share]] = Field(
        default_factory=list, description="where the hands are: [second, x, y] as shares of the frame"
    )
    time: TimeOfDay | None = None
    values: dict[str, JsonValue] = Field(default_factory=dict, description="topic: last payload")
    tolerance: Duration = 0.35
    expect: list[ExpectTable] = Field(default_factory=list)

    @field_validator("right", "left")
    @classmethod
    def _has_known_letters(cls, timeline: str, info: ValidationInfo) -> str:
        known = {NOBODY, *LETTERS, *info.data.get("letters", {})}
        if strange := sorted(set(timeline) - known):
            raise ValueError(
                f'unknown letter "{strange[0]}" in a timeline; known: {" ".join(sorted(known))}; '
                f'for a gesture of your own write letters = {{ {strange[0]} = "NAME" }}'
            )
        return timeline

    @model_validator(mode="after")
    def _shows_something(self) -> CaseTable:
        if not self.right and not self.left:
            raise ValueError('a case needs a timeline: "right", "left" or both')
        return self


class RuleFile(Table):
    """One rule file."""

    enabled: bool = Field(default=True, description="false: the file is read and tested, but its rules rest")
    wake: WakeTable | None = None
    zone: dict[Id, ZoneTable] = Field(default_factory=dict)
    rule: Annotated[list[RuleTable], Field(max_length=MAX_RULES)] = Field(default_factory=list)
    case: Annotated[list[CaseTable], Field(max_length=MAX_RULES)] = Field(default_factory=list)
