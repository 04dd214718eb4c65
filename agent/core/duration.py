"""Parsing and formatting of durations such as "300ms", "1.5s", "2min" and "1h"."""

from __future__ import annotations

import re

MAX_DIGITS = 15  # significant digits of a float
MAX_S = 366 * 24 * 3600.0  # one year: longer than any setting needs, short enough for every timer
_UNITS_S = {"ms": 0.001, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}
_PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|m|h)\s*", re.ASCII)


def parse_duration(text: str) -> float:
    """Parse a duration into seconds. Raises `ValueError` that says what was seen and what is expected."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(
            f'{text!r} is not a duration; write a number and a unit, as in "300ms", "1.5s", "2min"'
        )
    if len(match[1]) > MAX_DIGITS:
        raise ValueError(f"{match[1][:MAX_DIGITS]}... is too long for a duration")
    return round(float(match[1]) * _UNITS_S[match[2]], 9)  # 350 ms are 0.35 s, not 0.35000000000000003


def format_duration(seconds: float) -> str:
    """Return the shortest text that `parse_duration` reads back as the same number of milliseconds."""
    if seconds and seconds < 1:
        return f"{seconds * 1000:g}ms"
    if seconds >= 3600 and seconds % 3600 == 0:
        return f"{seconds / 3600:g}h"
    if seconds >= 60 and seconds % 60 == 0:
        return f"{seconds / 60:g}min"
    return f"{seconds:g}s"
