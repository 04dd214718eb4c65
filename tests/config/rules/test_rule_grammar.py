"""The grammar in one page, and whatever else somebody may write."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rule_texts import load

from agent.config.problems import ConfigProblems
from agent.config.rules.cases import run_cases
from agent.config.rules.files import read_rules
from agent.config.settings import DebounceSettings
from agent.core.types import LABELS

WORDS = [
    *(
        "rule",
        "zone",
        "wake",
        "case",
        "when",
        "gesture",
        "sequence",
        "both",
        "move",
        "dial",
        "do",
        "publish",
        "topic",
    ),
    *(
        "id",
        "box",
        "camera",
        "hold",
        "if",
        "is",
        "between",
        "from",
        "to",
        "right",
        "expect",
        "at",
        "title",
        "window",
    ),
]
VALUES = st.recursive(
    st.sampled_from(
        ["stop", "fist", "300ms", "22:00", "left", "vertical", "t", "SS..", "", "{gesture}", "{x}"]
    )
    | st.sampled_from([0, 1, -5, 0.5, True, 10**18]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=15,
)
RULES = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b", "c"]), "when": VALUES},
    optional=dict.fromkeys(("publish", "do", "dial"), VALUES),
)


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}" = {toml(inner)}' for key, inner in value.items()) + "}"
    return "[" + ", ".join(map(toml, value)) + "]" if isinstance(value, list) else json.dumps(value)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {}, optional={"rule": st.lists(RULES, max_size=3) | VALUES, **dict.fromkeys(WORDS[1:4], VALUES)}
    )
)
def test_whatever_is_written_it_is_rules_or_a_list_of_problems(
    tmp_path: Path, data: dict[str, object]
) -> None:
    text = "".join(f"{key} = {toml(value)}\n" for key, value in data.items())
    (tmp_path / "a.toml").write_text(text, encoding="utf-8")
    try:
        rules = read_rules(tmp_path, LABELS, DebounceSettings())
    except ConfigProblems as exc:
        told = exc.problems
    else:
        run_cases(rules.cases, LABELS, DebounceSettings())
        return
    assert told
    assert all(problem.text and problem.line for problem in told)


GRAMMAR = """
[wake]                       # optional; absent = always armed
gesture = "stop"
hold = "800ms"
window = "6s"

[zone.sofa]
camera = "front"
box = [0.10, 0.20, 0.60, 0.90]   # fractions of the frame: left, top, right, bottom
min_hand = 0.06                  # hand height / frame height: a distance gate

[[rule]]
id = "lamp-on"
when = { gesture = "thumbs_up", hand = "any", zone = "sofa", armed = true }
publish = { topic = "zigbee2mqtt/lamp/set", payload = { state = "ON" } }

[[rule]]
id = "volume-up"
when = { gesture = "two", hold = "600ms" }
repeat = "350ms"
key = "KEY_VOLUMEUP"

[[rule]]
id = "all-off"
when = { sequence = ["fist", "stop"], within = "2s" }
publish = { topic = "home/scene/set", payload = "all_off" }
cooldown = "10s"

[[rule]]
id = "both-thumbs"
when = { both = "thumbs_up" }
webhook = { url = "http://127.0.0.1:8123/api/webhook/party", json = { by = "{camera}" } }

[[rule]]
id = "dim"
when = { gesture = "fist", move = "vertical" }
dial = { topic = "home/lamp/brightness", from = 0, to = 255 }

[[case]]
title = "a second palm inside the cooldown is ignored"
right = "FFFF....SSSS........FFFF....SSSS"
expect = [{ at = "1.4s", topic = "home/scene/set", payload = "all_off" }]
"""


def test_the_grammar_in_one_page(tmp_path: Path) -> None:
    rules = load(tmp_path, ["front"], a=GRAMMAR)
    assert [(one.id, one.when.trigger, one.do[0].kind) for one in rules.rule_set.rules] == [
        ("lamp-on", "gesture", "publish"),
        ("volume-up", "gesture", "key"),
        ("all-off", "sequence", "publish"),
        ("both-thumbs", "both", "webhook"),
        ("dim", "dial", "publish"),
    ]
    assert [one.text.split(" (")[0] for one in rules.warnings] == ['"both-thumbs" and "lamp-on"']
    assert [result.problems for result in run_cases(rules.cases, LABELS, DebounceSettings())] == [()]
