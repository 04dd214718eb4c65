from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.toml_document import parse
from agent.config.toml_value import mapped_texts, toml_value

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = (
    TEXTS | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("ab-_é .", min_size=1), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(VALUES)
def test_what_is_written_is_read_again(value: Any):
    found = parse(f"key = {toml_value(value)}\n", "f.toml").data["key"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_bare_where_toml_allows_it():
    assert toml_value({"state": "ON", "a b": 1}) == '{ state = "ON", "a b" = 1 }'


@pytest.mark.parametrize(
    ("value", "problem"), [(None, "null"), ({"a": [None]}, "null"), ("\udc80", "not UTF-8")]
)
def test_what_toml_does_not_have_is_refused(value: Any, problem: str):
    with pytest.raises(ValueError, match=problem):
        toml_value(value)


def test_infinity_is_written_as_toml_has_it():
    assert (toml_value(math.inf), toml_value(-math.inf)) == ("inf", "-inf")


def test_texts_are_changed_at_any_depth_and_keys_are_not():
    assert mapped_texts({"a": ["a", 1], "b": {"c": "a"}}, str.upper) == {"a": ["A", 1], "b": {"c": "A"}}
