"""Values that no rule can use are told with the rule that wanted them."""

from __future__ import annotations

import pytest

from agent.core.rules import Conditions, Rule, RuleSet, ValueIs
from agent.core.rules.asked_values import AskedValues
from agent.core.thresholds import Thresholds


def asked(test: ValueIs) -> AskedValues:
    return AskedValues(
        RuleSet((Rule("lamp", Conditions("gesture", ("stop",), values=(test,)), (), Thresholds()),))
    )


@pytest.mark.parametrize(
    ("test", "payload", "said"),
    [
        (ValueIs("home/tv", is_="on"), "anything", ""),
        (ValueIs("home/tv", above=3.0), "4.5", ""),
        (ValueIs("home/tv", above=3.0), "warm", "rule \"lamp\" asks for a number; got 'warm'"),
        (ValueIs("home/tv", below=3.0), "nan", "rule \"lamp\" asks for a number; got 'nan'"),
        (ValueIs("home/tv", ("a", "b"), is_="on"), '{"a": {"b": "on"}}', ""),
        (ValueIs("home/tv", ("a", "b"), is_="on"), '{"a": 1}', 'rule "lamp" reads a.b in it'),
        (ValueIs("home/tv", ("a",), is_="on"), "{", 'rule "lamp" reads a in it, which is not there; got'),
        (ValueIs("home/door", above=3.0), "warm", ""),
    ],
)
def test_what_a_rule_cannot_use_is_named(test: ValueIs, payload: str, said: str):
    assert asked(test).fault("home/tv", payload).startswith(said)
    assert bool(asked(test).fault("home/tv", payload)) is bool(said)
