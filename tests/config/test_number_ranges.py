"""Numbers that Python takes and nothing here can use: refused with their place, wherever they are written."""

from __future__ import annotations

from pathlib import Path

import pytest
from rule_texts import problems

from agent.config.load import load
from agent.config.problems import ConfigProblems
from agent.config.toml_document import parse

DIAL = """
[[rule]]
id = "dim"
when = {{ gesture = "two", move = "vertical" }}
dial = {{ topic = "lamp", {dial} }}
"""


def refusal(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> str:
    file = tmp_path / "config.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigProblems) as caught:
        load(file, environ or {})
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a = inf", "x:1:5: inf is no number that can be used here"),
        ("a = 1\nb = [1, { c = -nan }]", "x:2:15: -nan is no number that can be used here"),
        ('a = ["é", 1e400]', "x:1:11: 1e400 is no number that can be used here"),
        ("a = " + "9" * 5000, "x:1:5: 999999999999999999... (5000 characters) is too large for a number"),
        ("a = 0x" + "f" * 5000, "x:1:5: 0xffffffffffffffff... (5002 characters) is too large for a number"),
        ("a = 9223372036854775808", "x:1:5: 922337203685477580... (19 characters) is too large for a number"),
    ],
)
def test_numbers_that_nothing_can_mean_are_named_with_their_place(text: str, problem: str):
    with pytest.raises(ConfigProblems) as caught:
        parse(text, "x")
    assert str(caught.value) == problem


def test_the_largest_number_of_toml_and_texts_that_look_like_numbers_are_read():
    text = 'a = 9223372036854775807\nb = "inf nan 99999999999999999999999"\ninf = 1'
    assert parse(text, "x").data == {"a": 2**63 - 1, "b": "inf nan 99999999999999999999999", "inf": 1}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[mqtt]\nurl = "mqtt://broker:99999"', '"99999" is no port; ports go from 1 to 65535'),
        ('[mqtt]\nurl = "mqtt://broker:' + "9" * 5000 + '"', "is no port"),
        ('[recognition.triton]\nurl = "http://gpu:0"', '"0" is no port'),
        ('[web]\norigins = ["http://kiosk:99999"]', '"99999" is no port'),
        ('[debounce]\nhold = "99999h"', '"99999h" is not at most 31622400'),
        ("[outbox]\nrows = 99999999999", "99999999999 is not at most 10000000"),
    ],
)
def test_settings_have_ranges(tmp_path: Path, text: str, problem: str):
    assert problem in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REST__FPS", "inf"),
        ("DEBOUNCE__RAISED", "nan"),
        ("OUTBOX__ROWS", "9" * 5000),
        ("RECOGNITION__TENSORRT__BATCH", "[0x" + "f" * 5000 + ", 1, 2]"),
    ],
)
def test_a_variable_holds_no_such_number_either(tmp_path: Path, name: str, value: str):
    assert refusal(tmp_path, "", {f"GESTURE_AGENT__{name}": value}).startswith(f"GESTURE_AGENT__{name}: ")


@pytest.mark.parametrize(
    ("dial", "problem"),
    [
        ("from = inf, to = 1", "inf is no number that can be used here"),
        ("from = 0, to = 1e300", "1e+300 is not at most 1000000000"),
        ("from = 0, to = 1, step = 1e-320", "1e-320 is not at least 1e-06"),
        ("from = 0, to = 1, step = 2", '"step" 2 is more than there is between "from" and "to"'),
        ("from = 0, to = 1e-9", '"from" and "to" must be 0.0001 apart at least'),
        ("from = 0, to = 1, travel = 1e-320", "1e-320 is not at least 0.1"),
    ],
)
def test_a_dial_goes_from_somewhere_to_somewhere_in_steps_that_can_be_sent(
    tmp_path: Path, dial: str, problem: str
):
    assert any(problem in text for text in problems(tmp_path, a=DIAL.format(dial=dial)))
