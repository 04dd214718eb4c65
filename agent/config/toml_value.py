"""Writes single values as TOML. The only writer of TOML values in the program."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def toml_value(value: Any) -> str:
    """Return a text, number, boolean, list or table as TOML on one line.

    Raises `ValueError` for None, which TOML does not have, and for text that is not UTF-8.
    """
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {toml_value(part)}" for key, part in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if value is None:
        raise ValueError("null cannot stand in TOML")
    if isinstance(value, str):
        return _quoted(value)
    return repr(value) if isinstance(value, float) else json.dumps(value)  # repr: inf and nan as in TOML


def mapped_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return the value with `change` applied to every text in it, keys excepted."""
    if isinstance(value, dict):
        return {key: mapped_texts(part, change) for key, part in value.items()}
    if isinstance(value, list):
        return [mapped_texts(part, change) for part in value]
    return change(value) if isinstance(value, str) else value


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise ValueError(f"{text!a} is not UTF-8") from exc
    escaped = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped)
