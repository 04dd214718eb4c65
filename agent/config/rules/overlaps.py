"""Detection of rules that match the same gesture, of which only the first would fire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from agent.config.toml_document import SourcePosition
from agent.core.rules import ANY, Between, Conditions, Rule, RuleSet, Zone
from agent.core.types import Hand

MAX_COMPARED = 20_000  # pairs with a common gesture, hand and camera: 200 rules, about 0.1 s


def overlaps(rule_set: RuleSet, spots: Mapping[str, SourcePosition]) -> Iterator[tuple[str, str]]:
    """Yield (id of the later rule, warning) for each overlapping pair of rules without `continue`.

    A special rule before a general one is intended use and gives no warning. Rules that differ in gesture,
    move, hand, camera or person are not compared further; of the others the first `MAX_COMPARED` pairs are.
    """
    compared = 0
    earlier: list[tuple[Rule, _Sort]] = []
    for second in (rule for rule in rule_set.rules if not rule.continue_matching):
        sort = _sort_of(second.when)
        for first in [rule for rule, other in earlier if _may_meet(other, sort)]:
            compared += 1
            if compared > MAX_COMPARED:
                yield second.id, f'from "{second.id}" on, rules were not compared: too many for one gesture'
                return
            if _can_meet(first.when, second.when) and (text := _sentence(first, second, spots)):
                yield second.id, text
        earlier.append((second, sort))


_Sort: TypeAlias = "tuple[str | None, frozenset[str] | None, Hand | None, str | None, int | None]"


def _sort_of(when: Conditions) -> _Sort:
    """The attributes that tell most rules apart: move, gestures, hand, camera, person; None: any."""
    last = _last(when)
    gestures = None if ANY in last else frozenset(last)
    return when.move if when.trigger == "move" else None, gestures, when.hand, _camera(when), when.person


def _may_meet(a: _Sort, b: _Sort) -> bool:
    """Cheap pre-check whether two rules can match one event; runs on every pair."""
    return (
        a[0] == b[0]
        and (a[1] is None or b[1] is None or not a[1].isdisjoint(b[1]))
        and (a[2] is None or b[2] is None or a[2] == b[2])
        and (a[3] is None or b[3] is None or a[3] == b[3])
        and (a[4] is None or b[4] is None or a[4] == b[4])
    )


def _sentence(first: Rule, second: Rule, spots: Mapping[str, SourcePosition]) -> str | None:
    where = f'"{first.id}" ({spots[first.id].file}:{spots[first.id].line})'
    if first.thresholds != second.thresholds:
        return f'"{second.id}" and {where} both fire for one gesture, each after its own hold; is that meant?'
    if _covers(first.when, second.when):
        return f'"{second.id}" can never fire: {where} comes first and matches all that it matches'
    if _covers(second.when, first.when):
        return None
    return f'"{second.id}" and {where} can both match; only the first fires, unless one has continue = true'


def _can_meet(a: Conditions, b: Conditions) -> bool:
    """Whether one event can match both rules; assumes that `_may_meet` holds."""
    return (
        not (a.trigger == b.trigger == "sequence" and not _ends_alike(a.gestures, b.gestures))
        and (a.zone is None or b.zone is None or _zones_meet(a.zone, b.zone))
        and (a.between is None or b.between is None or _times_meet(a.between, b.between))
        and not _values_exclude(a, b)
    )


def _covers(wide: Conditions, narrow: Conditions) -> bool:
    """Whether `wide` matches whenever `narrow` does, with the same thresholds."""
    return (
        (wide.trigger == narrow.trigger or wide.trigger in {"gesture", "dial"})
        and (wide.trigger != "sequence" or _covers_sequence(wide, narrow))
        and (ANY in wide.gestures or set(_last(narrow)) <= set(_last(wide)))
        and wide.hand in {None, narrow.hand}
        and _camera(wide) in {None, _camera(narrow)}
        and wide.person in {None, narrow.person}
        and wide.zone in {None, narrow.zone}
        and wide.min_hand <= narrow.min_hand
        and (narrow.armed or not wide.armed)
        and wide.between in {None, narrow.between}
        and set(wide.values) <= set(narrow.values)
    )


def _covers_sequence(wide: Conditions, narrow: Conditions) -> bool:
    return _ends_alike(wide.gestures, narrow.gestures) and (
        len(wide.gestures) < len(narrow.gestures)
        or (len(wide.gestures) == len(narrow.gestures) and wide.within_s >= narrow.within_s)
    )


def _last(when: Conditions) -> tuple[str, ...]:
    return when.gestures[-1:] if when.trigger == "sequence" else when.gestures


def _ends_alike(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    return all(x == y or ANY in {x, y} for x, y in zip(reversed(a), reversed(b), strict=False))


def _camera(when: Conditions) -> str | None:
    return when.camera or (when.zone.camera if when.zone else None)


def _zones_meet(a: Zone, b: Zone) -> bool:
    (left_a, top_a, right_a, bottom_a), (left_b, top_b, right_b, bottom_b) = a.box, b.box
    return left_a < right_b and left_b < right_a and top_a < bottom_b and top_b < bottom_a


def _times_meet(a: Between, b: Between) -> bool:
    return a.contains(b.start) or b.contains(a.start)


def _values_exclude(a: Conditions, b: Conditions) -> bool:
    """Whether tests of one value exclude each other."""
    return any(
        x.topic == y.topic
        and x.path == y.path
        and (
            (x.is_ is not None and y.is_ is not None and x.is_ != y.is_)
            or (x.is_ is not None and x.is_ == y.not_)
            or (y.is_ is not None and y.is_ == x.not_)
        )
        for x in a.values
        for y in b.values
    )
