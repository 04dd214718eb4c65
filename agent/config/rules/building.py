"""Converts the tables of rule files to core rules: resolves names, fills in defaults."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from agent.config.rules.grammar import (
    ActionTable,
    DialTable,
    Hands,
    OwnThresholds,
    RuleTable,
    ValueTable,
    WakeTable,
    ZoneTable,
)
from agent.config.settings import DebounceSettings
from agent.core.rules import (
    ActionTemplate,
    Between,
    Conditions,
    Dial,
    Rule,
    RuleSet,
    ValueIs,
    WakeGesture,
    Zone,
)
from agent.core.rules.rule_set import Trigger
from agent.core.thresholds import Thresholds, thresholds_of
from agent.core.types import Hand

ANY_SPEED = 100.0  # hand widths/s: turns the check off
SEQUENCE_S = 2.0  # default time limit of a sequence
_JSON = ("Content-Type", "application/json")


def build_rule_set(
    rules: Iterable[RuleTable],
    zones: Mapping[str, ZoneTable],
    wake: WakeTable | None,
    debounce: DebounceSettings,
) -> RuleSet:
    """Build the core's rule set. Raises `KeyError` where a rule names a zone that is not in `zones`."""
    built = {name: Zone(name, zone.box, zone.camera, zone.min_hand) for name, zone in zones.items()}
    return RuleSet(
        rules=tuple(_rule(rule, built, debounce) for rule in rules),
        zones=tuple(built.values()),
        wake=_wake(wake, debounce) if wake else None,
    )


def _rule(table: RuleTable, zones: Mapping[str, Zone], debounce: DebounceSettings) -> Rule:
    dial = table.dial
    return Rule(
        id=table.id,
        when=_when(table, zones),
        do=(_dialled(dial),) if dial else tuple(_actions(table)),
        thresholds=_thresholds(table, debounce),
        max_age_s=debounce.max_age if table.max_age is None else table.max_age,
        cooldown_s=table.cooldown or 0.0,
        per_person=table.per_person,
        repeat_s=table.repeat,
        continue_matching=table.continue_,
        dial=_dial(dial) if dial else None,
    )


def _when(table: RuleTable, zones: Mapping[str, Zone]) -> Conditions:
    when = table.when
    return Conditions(
        trigger=_trigger(table),
        gestures=tuple(when.sequence or when.both or when.gesture or ()),
        hand=_hand(when.hand),
        camera=when.camera,
        person=when.person,
        zone=zones[when.zone] if when.zone else None,
        min_hand=when.min_hand,
        armed=when.armed,
        within_s=SEQUENCE_S if when.within is None else when.within,
        move=when.move,
        between=Between(*when.between) if when.between else None,
        values=tuple(_value(test) for test in when.if_),
    )


def _trigger(table: RuleTable) -> Trigger:
    if table.dial:
        return "dial"
    if table.when.move:
        return "move"
    if table.when.sequence:
        return "sequence"
    return "both" if table.when.both else "gesture"


def _thresholds(table: RuleTable, debounce: DebounceSettings) -> Thresholds:
    """Thresholds of a rule: the general ones, overridden by its own.

    A rule's cooldown counts from firing to firing; it only shortens that of the gesture.
    """
    when = table.when
    usual = thresholds_of(debounce)
    if when.move or table.dial:
        usual = replace(usual, still=ANY_SPEED)  # the rule needs a moving hand
    base = _own(usual, when, hold_s=when.hold, release_s=when.release)
    return base if table.cooldown is None else replace(base, cooldown_s=min(base.cooldown_s, table.cooldown))


def _wake(wake: WakeTable, debounce: DebounceSettings) -> WakeGesture:
    return WakeGesture(
        wake.gesture, wake.window, _own(thresholds_of(debounce), wake, hold_s=wake.hold), _hand(wake.hand)
    )


def _own(base: Thresholds, table: OwnThresholds, **durations: float | None) -> Thresholds:
    """The thresholds with a table's own values applied."""
    own = {name: getattr(table, name) for name in OwnThresholds.model_fields} | durations
    mixed = replace(base, **{name: value for name, value in own.items() if value is not None})
    if own.get("hold_s") is not None:
        mixed = replace(mixed, doubtful_hold_s=mixed.hold_s)
    if table.confidence is None:
        return mixed
    return replace(
        mixed,
        confidence_of=(),
        keep=min(base.keep, mixed.confidence),
        doubtful_confidence=mixed.confidence,
    )


def _hand(hand: Hands) -> Hand | None:
    return None if hand == "any" else hand


def _value(test: ValueTable) -> ValueIs:
    return ValueIs(test.topic, _path(test.json_), test.is_, test.not_, test.above, test.below)


def _path(text: str | None) -> tuple[str, ...]:
    return tuple(text.split(".")) if text else ()


def _actions(table: RuleTable) -> Iterator[ActionTemplate]:
    for action in (table, *(table.do or ())):
        yield from _action(action)


def _action(table: ActionTable) -> Iterator[ActionTemplate]:
    if send := table.publish:
        yield ActionTemplate("publish", send.topic, send.payload, retain=send.retain)
    if post := table.webhook:
        headers = tuple(post.headers.items())
        if post.text is not None:
            yield ActionTemplate("webhook", post.url, post.text, options=headers)
        else:
            yield ActionTemplate("webhook", post.url, _body(post.json_), options=(_JSON, *headers))
    if table.command:
        program, *arguments = table.command
        yield ActionTemplate("command", program, options=tuple(("arg", argument) for argument in arguments))
    if table.key:
        yield ActionTemplate("key", "+".join(table.key))


def _body(value: object) -> object:
    """A webhook's body, by default the fields of the event."""
    if value is not None:
        return value
    return {name: f"{{{name}}}" for name in ("rule", "gesture", "hand", "camera", "zone", "confidence", "ts")}


def _dialled(dial: DialTable) -> ActionTemplate:
    return ActionTemplate("publish", dial.topic, dial.payload, retain=dial.retain)


def _dial(dial: DialTable) -> Dial:
    whole = dial.from_ == int(dial.from_) and dial.to == int(dial.to) and abs(dial.to - dial.from_) > 1
    return Dial(
        low=dial.from_,
        high=dial.to,
        step=dial.step or (1.0 if whole else abs(dial.to - dial.from_) / 100),
        start=(dial.from_ + dial.to) / 2 if dial.start is None else dial.start,
        every_s=dial.every,
        travel=dial.travel,
        follow=(dial.follow, _path(dial.follow_json)) if dial.follow else None,
    )
