"""Templates: `{gesture}` is replaced by the gesture, `{{gesture}}` gives `{gesture}`.

Other text in braces is left alone, so that JSON written as text needs no escapes. `{ts}` is filled in by
delivery, because only delivery knows the wall-clock time.
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
    """Yield the name of every field used in a text, or in any text within a JSON value."""
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
    """Return a text with every known field filled in."""

    def put(match: re.Match[str]) -> str:
        if match[1]:
            return "{" + match[1] + "}"
        return str(fields[match[2]]) if match[2] in fields else match[0]

    return _PLACE.sub(put, template)


def fill_json(template: Any, fields: Mapping[str, Any]) -> Any:
    """Fill in the texts within a JSON value; a text that is a single field keeps that field's type."""
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
