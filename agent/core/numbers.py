"""Numbers and JSON from outside: finite, of a sane size, or a `ValueError` that says what was seen. Pure.

Python reads more than others write: `float("nan")`, `1_000`, `Infinity` in JSON, whole numbers of any
length (and then fails to print them). Whatever comes from files, topics and arguments is read here.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

MAX_DIGITS = 20  # of a whole number; 64 bits have 20
SEEN_CHARS = 30  # of what was read instead are shown

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)


def read_float(value: object, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number, also one that is written as text. Truth values are none. Raises `ValueError`."""
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
    """A whole number, also one that is written as text. Raises `ValueError`."""
    number = read_float(value)
    if number != math.floor(number):
        raise ValueError(f"{_shown(value)} is not a whole number")
    if not low <= number <= high:
        raise ValueError(f"{_shown(value)} is out of range; from {low} to {high} is expected")
    return int(value) if isinstance(value, int) else int(number)


def number_or_none(value: object) -> float | None:
    """As `read_float`; None for what is no number."""
    try:
        return read_float(value)
    except ValueError:
        return None


def read_json(text: str | bytes) -> Any:
    """A JSON document without NaN, infinity and endless numbers. Raises `ValueError`, nothing else."""
    try:
        return _DECODER.decode(text if isinstance(text, str) else text.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def write_json(value: Any) -> str:
    """Compact JSON; `ValueError` for NaN and infinity, which no JSON reader knows."""
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
    """What was seen, cut short; whole numbers of thousands of digits cannot even be printed."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return "a whole number of hundreds of digits"
    text = repr(value)
    return text if len(text) <= SEEN_CHARS else f"{text[:SEEN_CHARS]}..."
