"""What a rule sends: placeholders, JSON, options."""

from __future__ import annotations

import json

from rule_scenario import NORMAL, SAY, SOFA, Play, rule

from agent.core.rules import ActionTemplate, Rule
from agent.core.types import GestureStarted, Place


def test_actions_are_filled_in_and_know_their_cause() -> None:
    do = ActionTemplate(
        "publish",
        "home/{camera}/{gesture}",
        "{hand} {person} {zone} {confidence} {held_ms} {rule} {ts}",
        retain=True,
    )
    [action] = Play(rule("a", "stop", do=do, max_age_s=7, zone=SOFA), zones=(SOFA,)).actions(
        "SSSS", place=Place(0.3, 0.5, 0.2)
    )
    assert (action.target, action.payload) == ("home/front/stop", "right 0 sofa 1.0 300 a {ts}")
    assert (action.kind, action.retain, action.max_age_s) == ("publish", True, 7)
    assert isinstance(action.event, GestureStarted)


def test_json_payloads_keep_numbers_as_numbers() -> None:
    do = ActionTemplate(
        "publish", "t", {"held": "{held_ms}", "text": "for {held_ms} ms", "list": ["{hand}", 1, None, True]}
    )
    [action] = Play(rule("a", "stop", do=do)).actions("SSSS")
    assert json.loads(action.payload) == {"held": 300, "text": "for 300 ms", "list": ["right", 1, None, True]}


def test_json_written_as_text_needs_no_escapes_and_double_braces_do() -> None:
    do = ActionTemplate("publish", "t", '{"a": {"b": 1}, "c": "{{hand}}", "d": "{hand}"}')
    [action] = Play(rule("a", "stop", do=do)).actions("SSSS")
    assert action.payload == '{"a": {"b": 1}, "c": "{hand}", "d": "right"}'


def test_options_are_templates_too_and_all_actions_come_in_order() -> None:
    a = rule("a", "stop", do=ActionTemplate("command", "notify", options=(("arg", "{gesture} seen"),)))
    both = Rule("b", a.when, (*a.do, SAY), NORMAL)
    first, second = Play(both).actions("SSSS")
    assert (first.kind, first.target, first.options) == ("command", "notify", (("arg", "stop seen"),))
    assert second.kind == "publish"
