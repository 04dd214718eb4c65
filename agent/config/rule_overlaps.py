"""Pairs of rules that one gesture can match both: said at load, because only the first will fire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agent.config.located import Spot
from agent.core.rules import ANY, Between, Book, Rule, When, Zone


def overlaps(book: Book, spots: Mapping[str, Spot]) -> Iterator[tuple[str, str]]:
    """(id of the later rule, sentence) of each pair without `also`.

    A special case before a general one is how rules are meant to be written: no warning.
    """
    rules = [rule for rule in book.rules if not rule.also]
    for late, second in enumerate(rules):
        for first in rules[:late]:
            if _can_meet(first.when, second.when) and (text := _sentence(first, second, spots)):
                yield second.id, text


def _sentence(first: Rule, second: Rule, spots: Mapping[str, Spot]) -> str | None:
    where = f'"{first.id}" ({spots[first.id].file}:{spots[first.id].line})'
    if first.thresholds != second.thresholds:
        return f'"{second.id}" and {where} both fire for one gesture, each after its own hold; is that meant?'
    if _covers(first.when, second.when):
        return f'"{second.id}" can never fire: {where} comes first and matches all that it matches'
    if _covers(second.when, first.when):
        return None
    return f'"{second.id}" and {where} can both match; only the first fires, unless one has also = true'


def _can_meet(a: When, b: When) -> bool:
    """Whether one event can match both."""
    return (
        (a.trigger == "move") == (b.trigger == "move")
        and (a.trigger != "move" or a.move == b.move)
        and _gestures_meet(_last(a), _last(b))
        and not (a.trigger == b.trigger == "sequence" and not _ends_alike(a.gestures, b.gestures))
        and _same_or_open(a.hand, b.hand)
        and _same_or_open(_camera(a), _camera(b))
        and _same_or_open(a.person, b.person)
        and (a.zone is None or b.zone is None or _zones_meet(a.zone, b.zone))
        and (a.between is None or b.between is None or _times_meet(a.between, b.between))
        and not _values_exclude(a, b)
    )


def _covers(wide: When, narrow: When) -> bool:
    """Whether `wide` matches whenever `narrow` does, given the same thresholds."""
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


def _covers_sequence(wide: When, narrow: When) -> bool:
    return _ends_alike(wide.gestures, narrow.gestures) and (
        len(wide.gestures) < len(narrow.gestures)
        or (len(wide.gestures) == len(narrow.gestures) and wide.within_s >= narrow.within_s)
    )


def _last(when: When) -> tuple[str, ...]:
    return when.gestures[-1:] if when.trigger == "sequence" else when.gestures


def _ends_alike(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    return all(x == y or ANY in {x, y} for x, y in zip(reversed(a), reversed(b), strict=False))


def _gestures_meet(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    return ANY in a or ANY in b or bool(set(a) & set(b))


def _camera(when: When) -> str | None:
    return when.camera or (when.zone.camera if when.zone else None)


def _same_or_open(a: object, b: object) -> bool:
    return a is None or b is None or a == b


def _zones_meet(a: Zone, b: Zone) -> bool:
    (left_a, top_a, right_a, bottom_a), (left_b, top_b, right_b, bottom_b) = a.box, b.box
    return left_a < right_b and left_b < right_a and top_a < bottom_b and top_b < bottom_a


def _times_meet(a: Between, b: Between) -> bool:
    return a.contains(b.start) or b.contains(a.start)


def _values_exclude(a: When, b: When) -> bool:
    """Whether two tests of one value cannot both hold: it is this, and it is that."""
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
