"""Checks whether an MQTT payload can be used by the rules that read its topic. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

from agent.core.rules.rule_set import RuleSet, as_number, value_at

_Asked = tuple[str, tuple[str, ...], bool]  # rule, path into the JSON, whether it has to be a number


class AskedValues:
    """Index of the topic values that rules read; built once per rule set, used for every payload."""

    def __init__(self, rule_set: RuleSet) -> None:
        self._asked: dict[str, list[_Asked]] = {}
        for topic, asked in _all(rule_set):
            self._asked.setdefault(topic, []).append(asked)

    def fault(self, topic: str, payload: str) -> str:
        """Return why a rule cannot use a payload, as text; empty when every rule can."""
        for rule, path, wants_number in self._asked.get(topic, ()):
            value = value_at(payload, path)
            if path and value is None:
                return f'rule "{rule}" reads {".".join(path)} in it, which is not there; got {payload[:60]!r}'
            number = as_number(value) if wants_number and value is not None else None
            if wants_number and (number is None or not math.isfinite(number)):
                return f'rule "{rule}" asks for a number; got {str(value)[:60]!r}'
        return ""


def _all(rule_set: RuleSet) -> Iterator[tuple[str, _Asked]]:
    for rule in rule_set.rules:
        for test in rule.when.values:
            yield test.topic, (rule.id, test.path, test.above is not None or test.below is not None)
        if rule.dial and rule.dial.follow:
            topic, path = rule.dial.follow
            yield topic, (rule.id, path, True)
