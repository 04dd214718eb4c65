"""Gesture sequences: compares each person's last started gestures with the steps of each rule."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from agent.core.debounce import EPSILON_S
from agent.core.rules.conditions import place_refusal
from agent.core.rules.rule_set import Rule
from agent.core.rules.verdict import Refusal
from agent.core.thresholds import Thresholds
from agent.core.types import Gesture

_PEOPLE = 64  # remembered for each rule; the oldest are dropped first


class Sequences:
    """Remembers, for every rule with a sequence, the gestures that each person started last."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = [rule for rule in rules if rule.when.trigger == "sequence"]
        self._steps: dict[str, dict[tuple[str, int], deque[tuple[str, float]]]] = {}

    def note(self, thresholds: Thresholds, event: Gesture) -> None:
        """Record a started gesture; a gesture that is not a step breaks the sequence."""
        for rule in self._rules:
            if rule.thresholds == thresholds and place_refusal(rule.when, event) is None:
                people = self._steps.setdefault(rule.id, {})
                steps = people.pop(_person(event), None) or deque(maxlen=len(rule.when.gestures))
                steps.append((event.gesture, event.at))
                people[_person(event)] = steps
                if len(people) > _PEOPLE:
                    del people[next(iter(people))]

    def refusal(self, rule: Rule, event: Gesture) -> Refusal | None:
        """Return None where the event completes the rule's sequence in time, else the reason."""
        steps = self._steps.get(rule.id, {}).get(_person(event), ())
        seen = tuple(gesture for gesture, _ in steps)
        wanted = f"{', '.join(rule.when.gestures)} within {rule.when.within_s:g} s"
        if not steps or seen != rule.when.gestures:
            return Refusal("sequence", ", ".join(seen) or "nothing", wanted)
        took_s = steps[-1][1] - steps[0][1]
        if took_s > rule.when.within_s + EPSILON_S:
            return Refusal("sequence", f"took {took_s:.1f} s", wanted)
        return None

    def clear(self, rule: Rule, event: Gesture) -> None:
        """Start a rule's sequence over, after it fired."""
        self._steps.get(rule.id, {}).pop(_person(event), None)


def _person(event: Gesture) -> tuple[str, int]:
    return event.camera, event.person
