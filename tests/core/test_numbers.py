"""Numbers and JSON from outside, as people and other programs write them."""

from __future__ import annotations

import pytest

from agent.core.duration import parse_duration
from agent.core.numbers import number_or_none, read_float, read_int, read_json, write_json
from agent.core.rules.rule_set import ValueIs, value_at


@pytest.mark.parametrize(
    ("text", "number"), [("1", 1.0), (" -2.5e3 ", -2500.0), (".5", 0.5), (7, 7.0), (0.1, 0.1)]
)
def test_a_number_is_read_also_from_text(text: object, number: float):
    assert read_float(text) == number


WORDS = ("nan", "NaN", "inf", "-Infinity", "1_000", "1e999", "", "٣", "0x10", "9" * 5000)
VALUES = (True, None, [], float("nan"), float("inf"), 10**5000)


@pytest.mark.parametrize("odd", [*WORDS, *VALUES], ids=lambda odd: str(type(odd).__name__))
def test_what_is_no_finite_number_is_none(odd: object):
    assert number_or_none(odd) is None
    with pytest.raises(ValueError, match="is not a number"):
        read_float(odd)


def test_a_number_out_of_its_range_is_refused_with_the_range():
    with pytest.raises(ValueError, match="7 is out of range; from 0 to 1 is expected"):
        read_float(7, 0, 1)
    with pytest.raises(ValueError, match="from 0 to 9007199254740992 is expected"):
        read_int(-1, 0)
    with pytest.raises(ValueError, match=r"1\.5 is not a whole number"):
        read_int(1.5)


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "[Infinity]",
        '{"a": -Infinity}',
        "1e999",
        "9" * 5000,
        "9" * 21,  # Python itself would take it
        "[" * 100_000,
        "{",
        b"\xff",
        b"\xff\xfe[\x00",
    ],
)
def test_json_that_no_other_reader_takes_is_one_kind_of_error(text: str | bytes):
    with pytest.raises(ValueError, match=r"."):
        read_json(text)


def test_json_without_numbers_of_ours_is_read_and_written_unchanged():
    text = '{"a":[1,2.5,null,true,"ä"],"b":12345678901234567890}'
    assert write_json(read_json(text)) == text
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"a": float("nan")})


@pytest.mark.parametrize(
    "payload", ["NaN", '{"brightness": NaN}', '{"brightness": "nan"}', '{"brightness": 1e999}']
)
def test_a_topic_that_says_nan_says_no_number(payload: str):
    assert number_or_none(value_at(payload, ("brightness",))) is None
    assert not ValueIs("t", ("brightness",), above=0.0).holds(payload)


@pytest.mark.parametrize("text", ["9" * 400 + "s", "٣s", "1e5s", "infs", "nan"])
def test_a_duration_is_a_plain_number_and_a_unit(text: str):
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)
