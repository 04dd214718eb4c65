"""Strict parsing of numbers and JSON from outside; a `ValueError` says what was seen. Pure.

Python accepts more than other programs write: `float("nan")`, `1_000`, `Infinity` in JSON, integers of any
length (which it then fails to print). Input from files, topics and arguments is parsed here.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

MAX_DIGITS = 20  # of an integer; 64 bits have 20
SEEN_CHARS = 30  # characters of the rejected input that an error shows

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)


def read_float(value: object, low: float = -math.inf, high: float = math.inf) -> float:
    """Return a finite float from a number or its text; booleans are rejected. Raises `ValueError`."""
    if isinstance(value, str):
        text = value.strip()
        number = float(text) if len(text) <= 400 and _NUMBER.fullmatch(text) else math.nan
    elif isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
    else:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{_shown(value)} is not a number")
    if not low <= number <= high:
        raise ValueError(f"{_shown(value)} is out of range; from {low:g} to {high:g} is expected")
    return number


def read_int(value: object, low: int = -(2**53), high: int = 2**53) -> int:
    """Return an integer from a number or its text, within `low` to `high`. Raises `ValueError`."""
    number = read_float(value)
    if number != math.floor(number):
        raise ValueError(f"{_shown(value)} is not a whole number")
    if not low <= number <= high:
        raise ValueError(f"{_shown(value)} is out of range; from {low} to {high} is expected")
    return int(value) if isinstance(value, int) else int(number)


def number_or_none(value: object) -> float | None:
    """Return a finite float from a number or its text; None for anything else, booleans included."""
    try:
        return read_float(value)
    except ValueError:
        return None


def read_json(text: str | bytes) -> Any:
    """Parse a JSON document; NaN, infinity and oversized numbers are rejected. Raises `ValueError` only."""
    try:
        return _DECODER.decode(text if isinstance(text, str) else text.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def write_json(value: Any) -> str:
    """Serialise to compact JSON. Raises `ValueError` for NaN and infinity, which JSON does not have."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _json_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{_shown(text)} is too large")
    return number


def _json_int(text: str) -> int:
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise ValueError(f"a whole number of {len(text)} digits is too large")
    return int(text)


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


_DECODER = json.JSONDecoder(parse_float=_json_float, parse_int=_json_int, parse_constant=_no_number)


def _shown(value: object) -> str:
    """The rejected input, cut short; integers of thousands of digits cannot be printed."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return "a whole number of hundreds of digits"
    text = repr(value)
    return text if len(text) <= SEEN_CHARS else f"{text[:SEEN_CHARS]}..."
