"""Texts with places to fill in: `{gesture}` becomes the gesture, `{{gesture}}` stays `{gesture}`.

Anything else in braces is left alone, so JSON written as text needs no escapes. `{ts}` is left for
delivery, which alone knows the time on the wall.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

FIELDS = (
    "gesture", "hand", "person", "camera", "zone", "confidence", "held_ms", "rule", "move", "value", "ts",
)  # fmt: skip
_PLACE = re.compile(r"\{\{(\w+)\}\}|\{([A-Za-z_]+)\}")


def fields_of(template: Any) -> Iterator[str]:
    """Every field that a text, or a text anywhere in a JSON value, asks for."""
    if isinstance(template, str):
        yield from (match[2] for match in _PLACE.finditer(template) if match[2])
    elif isinstance(template, Mapping):
        for key, value in template.items():
            yield from fields_of(key)
            yield from fields_of(value)
    elif isinstance(template, list | tuple):
        for value in template:
            yield from fields_of(value)


def fill(template: str, fields: Mapping[str, Any]) -> str:
    """The text with every known field filled in."""

    def put(match: re.Match[str]) -> str:
        if match[1]:
            return "{" + match[1] + "}"
        return str(fields[match[2]]) if match[2] in fields else match[0]

    return _PLACE.sub(put, template)


def fill_json(template: Any, fields: Mapping[str, Any]) -> Any:
    """The same inside a JSON value; a text that is one field alone becomes that field's own kind."""
    if isinstance(template, str):
        alone = _PLACE.fullmatch(template)
        if alone and alone[2] in fields:
            return fields[alone[2]]
        return fill(template, fields)
    if isinstance(template, Mapping):
        return {fill(key, fields): fill_json(value, fields) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [fill_json(value, fields) for value in template]
    return template
