"""Test cases inside rule files."""

from __future__ import annotations

from pathlib import Path

import pytest
from rule_texts import GOOD, load, rule

from agent.config.rules.cases import run_cases
from agent.config.rules.files import read_rules
from agent.config.settings import DebounceSettings
from agent.core.types import LABELS


def case(tmp_path: Path, text: str, rules: str = GOOD) -> tuple[str, ...]:
    rule_set = load(tmp_path, a=f'{rules}\n[[case]]\ntitle = "c"\n{text}\n')
    [result] = run_cases(rule_set.cases, LABELS, DebounceSettings())
    assert result.passed == (not result.problems)
    return result.problems


def test_a_case_passes_when_all_fires_that_should(tmp_path: Path) -> None:
    assert case(tmp_path, 'right = "SSSS"\nexpect = [{ at = "0.3s", topic = "t", payload = "p" }]') == ()
    assert case(tmp_path, 'left = "SSS"\nexpect = []') == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('right = "SSSS"', "not expected: 0.3 s: a: publish t p"),
        (
            'right = "SSS"\nexpect = [{ at = "0.3s", topic = "t" }]',
            "expected at 0.3 s: topic t; nothing like it fired",
        ),
        ('right = "SSSS"\nexpect = [{ at = "1s", rule = "a" }]', "expected at 1 s: rule a; it came at 0.3 s"),
        (
            'right = "SSSS"\nexpect = [{ at = "0.3s", payload = "q" }]',
            "expected at 0.3 s: payload q; nothing like it fired",
        ),
        (
            'right = "SSSS"\ntolerance = "50ms"\nexpect = [{ at = "0.4s" }]',
            "expected at 0.4 s: an action; it came at 0.3 s",
        ),
    ],
)
def test_a_case_fails_with_a_reason(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in case(tmp_path, text)


def test_a_case_knows_where_it_is_written(tmp_path: Path) -> None:
    rule_set = load(tmp_path, a=GOOD + '[[case]]\ntitle = "c"\nright = "S"\n')
    assert (rule_set.cases[0].spot.line, rule_set.cases[0].title) == (6, "c")


def test_a_case_runs_against_its_own_file_only(tmp_path: Path) -> None:
    own = GOOD + '[[case]]\ntitle = "c"\nright = "SSSS"\nexpect = [{ at = "0.3s", rule = "a" }]\n'
    rule_set = load(tmp_path, b=own, a=GOOD.replace('"a"', '"other"'))
    assert [result.passed for result in run_cases(rule_set.cases, LABELS, DebounceSettings())] == [True]


def test_a_case_has_its_own_time_values_zone_and_letters(tmp_path: Path) -> None:
    rules = """
[zone.far]
camera = "door"
box = [0.8, 0.0, 1.0, 0.2]
min_hand = 0.3
[[rule]]
id = "a"
when = { gesture = "ok", zone = "far", between = ["22:00", "23:00"], if = [
  { topic = "t", json = "on", is = true },
] }
publish = { topic = "{camera}" }
"""
    text = 'right = "xxxx"\nletters = { x = "ok" }\nzone = "far"\ntime = "22:30"\n'
    text += "values = { t = { on = true } }\n"
    assert case(tmp_path, text + 'expect = [{ at = "0.3s", topic = "door" }]', rules) == ()
    assert case(tmp_path, text.replace("22:30", "23:30"), rules) == ()


def test_a_case_matches_json_by_value(tmp_path: Path) -> None:
    rules = rule('publish = { topic = "t", payload = { b = 1, a = "{hand}" } }')
    assert (
        case(tmp_path, 'left = "SSSS"\nexpect = [{ at = "0.3s", payload = { a = "left", b = 1 } }]', rules)
        == ()
    )


def test_a_case_can_expect_webhooks_commands_and_keys(tmp_path: Path) -> None:
    rules = rule('webhook = { url = "http://x/", json = [1] }\ncommand = ["run", "{hand}"]\nkey = "KEY_A"')
    text = """right = "SSSS"
expect = [
  { at = "0.3s", url = "http://x/", json = [1] },
  { at = "0.3s", command = ["run", "right"] },
  { at = "0.3s", key = "KEY_A" },
]"""
    assert case(tmp_path, text, rules) == ()
    assert len(case(tmp_path, text.replace("KEY_A", "KEY_B").replace('"run"', '"walk"'), rules)) == 4


def test_cases_follow_the_users_own_debounce(tmp_path: Path) -> None:
    rule_set = load(
        tmp_path, a=GOOD + '[[case]]\ntitle = "c"\nright = "SSSSSSSS"\nexpect = [{ at = "0.3s" }]\n'
    )
    slow = DebounceSettings(hold=2.0)
    rules = read_rules(tmp_path, LABELS, slow)
    assert [r.passed for r in run_cases(rule_set.cases, LABELS, DebounceSettings())] == [True]
    assert [r.passed for r in run_cases(rules.cases, LABELS, slow)] == [False]
