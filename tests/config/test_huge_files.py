"""Files that nobody writes by hand: an answer within seconds, or a refusal; no reload stalls the loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.problems import MOST_SHOWN, ConfigProblems, Problem
from agent.config.rules.files import MAX_RULES, read_rules
from agent.config.settings import DebounceSettings
from agent.config.toml_document import parse
from agent.core.types import LABELS

RULE = """
[[rule]]
id = "r{n}"
when = {{ gesture = "stop", person = {n} }}
publish = {{ topic = "t", payload = "x" }}
"""


def refusal(folder: Path) -> str:
    with pytest.raises(ConfigProblems) as caught:
        read_rules(folder, LABELS, DebounceSettings())
    return str(caught.value)


@pytest.mark.timeout(60)
def test_a_line_of_a_hundred_thousand_values_is_read_in_time():
    located = parse("a = [" + ",".join("1" for _ in range(100_000)) + "]", "x")
    assert located.at(("a", 99_999)) == (1, 6 + 2 * 99_999)


def test_columns_count_letters_not_bytes_also_late_in_a_line():
    located = parse('a = ["ä€😀", "b", "ö", 1]', "x")
    assert [located.at(("a", n))[1] for n in range(4)] == [6, 13, 18, 23]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("key", ["a", '"a b"', "'a'", "[a", "  [[ a"])
def test_a_key_of_a_hundred_thousand_parts_is_refused_at_once(key: str):
    with pytest.raises(ConfigProblems, match="x:2:1: a key of more than 50 parts"):
        parse("b = 1\n" + key + ".a" * 100_000 + " = 1", "x")


def test_a_timeline_with_many_dots_is_no_key():
    text = "T." * 200
    assert parse(f'right = "{text}"', "x").data == {"right": text}


def test_more_rules_than_a_house_can_have_are_refused(tmp_path: Path):
    for file in range(3):
        rules = (RULE.format(n=file * 1000 + n) for n in range(400))
        (tmp_path / f"{file}.toml").write_text("".join(rules))
    assert refusal(tmp_path) == f"{tmp_path}: holds 1200 rules; at most {MAX_RULES} are read"


def test_of_thousands_of_problems_the_first_are_shown_and_the_rest_counted():
    problems = ConfigProblems(Problem("x", n + 1, 1, "is wrong") for n in range(5000))
    lines = str(problems).splitlines()
    assert len(problems.problems) == 5000
    assert lines[0] == "x:1:1: is wrong"
    assert lines[MOST_SHOWN:] == ["... and 4900 more"]
