"""Converts pydantic's validation errors to problems with a position and plain wording."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from agent.config.annotations import members_of
from agent.config.problems import Problem, did_you_mean, unknown
from agent.config.settings import FORMS
from agent.config.toml_document import SECRET_WORDS, KeyPath, TomlDocument
from agent.core.numbers import number_or_none
from agent.core.redaction import redacted, redacted_payload, server_only

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)

HIDDEN = "the value"  # shown instead of a value that may be secret
SEEN_CHARS = 60  # shown of a wrong value
_TABLE_ARRAYS = ("rule", "case")  # written as [[rule]]
_WEBHOOK_KEYS = frozenset({"webhook", "url"})  # their paths are not shown

_EXPECTED = {  # pydantic's error types in plain words
    "int": "a whole number",
    "float": "a number",
    "finite": "a number",
    "bool": "true or false",
    "string": "text",
    "list": "a list [ ... ]",
    "tuple": "a list [ ... ]",
    "set": "a list [ ... ]",
    "dict": "a table { key = value }",
    "model": "a table { key = value }",
    "path": "a path",
    "time": 'a time of day, as in "22:00"',
    "url": "a URL",
}
_LIMITS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def problems_of(error: ValidationError, model: type[BaseModel], located: TomlDocument) -> list[Problem]:
    """Convert pydantic's errors to problems, in the order of the file.

    Several errors about one value (the members of a union) become one: "expected A or B".
    """
    wrong_kind: dict[KeyPath, list[str]] = {}
    problems = []
    for detail in error.errors(include_url=False):
        path, rest = _data_path(located.data, detail["loc"])
        if detail["type"] == "extra_forbidden":
            text = unknown("key", str(path[-1]), _known_keys(model, located.data, path[:-1]))
            problems.append(located.problem(path, text, key=True))
        elif detail["type"] == "missing":
            where = f" in [camera.{path[1]}]" if path[:1] == ("camera",) else ""
            problems.append(located.problem(path, f'"{rest}" is missing{where}'))
        elif rest == "[key]":
            text = f"name {_shown(path[-1])} must be {_expected(detail)}"
            problems.append(located.problem(path, text, key=True))
        elif detail["type"] in {"value_error", "assertion_error"}:
            problems.append(located.problem(path, str(detail["ctx"]["error"])))
        else:
            wrong_kind.setdefault(path, []).append(_expected(detail))
    for path, expected in wrong_kind.items():
        seen = _seen(located.data, path)
        text = f"{seen} is not {' or '.join(dict.fromkeys(expected))}"
        text += _hint(path, _value_at(located.data, path), seen, expected)
        problems.append(located.problem(path, text))
    return sorted(set(problems))


def _expected(detail: ErrorDetails) -> str:
    kind, ctx = detail["type"], detail.get("ctx", {})
    if kind in _LIMITS:
        name, word = _LIMITS[kind]
        limit = ctx[name]
        return f"{word} {int(limit) if limit == int(limit) else limit}"
    if kind in {"literal_error", "enum"}:
        return "one of " + str(ctx["expected"]).replace("'", '"').replace(" or ", ", ")
    if kind == "string_pattern_mismatch":
        return FORMS.get(ctx["pattern"], f"text of the form {ctx['pattern']}")
    if kind.endswith(("too_short", "too_long")):
        limit = f"at least {ctx['min_length']}" if "min_length" in ctx else f"at most {ctx['max_length']}"
        return f"{limit} {'characters' if kind.startswith('string') else 'entries'} long"
    return _EXPECTED.get(kind.split("_")[0], detail["msg"])


def _hint(path: KeyPath, value: Any, seen: str, expected: Sequence[str]) -> str:
    """Advice on what to write instead, where it can be guessed."""
    key = path[-1] if path else ""
    if unquoted := _without_quotes(value, expected):
        return f"; write it without quotes: {key} = {unquoted}"
    if isinstance(value, dict) and key in _TABLE_ARRAYS:
        return f"; write [[{key}]] with two brackets, one such heading for each"
    if path == ("camera",):
        return "; give each camera a table and a name: [camera.front]"
    if meant := _choice_meant(seen, expected):
        return f'; did you mean "{meant}"?'
    if expected == ["text"] and isinstance(value, int | float) and seen != HIDDEN:
        return f'; write it in quotes: {key} = "{_shown(value)}"'
    return ""


def _without_quotes(value: Any, expected: Sequence[str]) -> str | None:
    """The content of a quoted value where an unquoted number, true or false is expected."""
    if not isinstance(value, str):
        return None
    text = value.strip()
    choices = [part.strip() for one in expected if one.startswith("one of ") for part in one[7:].split(",")]
    if text in choices or (text in {"true", "false"} and "true or false" in expected):
        return text
    wants_number = any("number" in one for one in expected)
    return text if wants_number and number_or_none(text) is not None else None


def _choice_meant(seen: str, expected: Sequence[str]) -> str | None:
    choices = [
        part.strip('" ') for text in expected if text.startswith("one of ") for part in text[7:].split(",")
    ]
    return did_you_mean(seen.strip('"'), choices) if choices else None


def _data_path(data: Any, loc: tuple[int | str, ...]) -> tuple[KeyPath, int | str | None]:
    """The part of pydantic's location that is in the data, and the first part that is not.

    Pydantic inserts names of union members and validators between the keys.
    """
    path: list[str | int] = []
    rest: int | str | None = None
    for part in loc:
        inside = isinstance(data, dict) and part in data
        if inside or (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            data = data[part]
            path.append(part)
            rest = None
        else:
            rest = part
    return tuple(path), rest


def _value_at(data: Any, path: KeyPath) -> Any:
    for part in path:
        data = data[part]
    return data


def _seen(data: Any, path: KeyPath) -> str:
    data = _value_at(data, path)
    if "headers" in path or any(map(_names_a_secret, path)):
        return HIDDEN
    if not _WEBHOOK_KEYS.isdisjoint(path):
        data = _webhook_shown(data)
    return _shown(data)


def _webhook_shown(value: Any) -> Any:
    """A value of a webhook's table, at any depth, as it may be shown: its path may be its secret."""
    if isinstance(value, dict):
        return {key: _webhook_shown(inner) for key, inner in redacted_payload(value).items()}
    if isinstance(value, list):
        return [_webhook_shown(inner) for inner in value]
    return server_only(value) if isinstance(value, str) and "/" in value else value


def _shown(value: Any) -> str:
    """A value approximately as written, shortened."""
    text = json.dumps(_redacted(value), ensure_ascii=False, default=str)
    return text if len(text) <= SEEN_CHARS else text[: SEEN_CHARS - 3] + "..."


def _redacted(value: Any) -> Any:
    """The value without secrets: in URLs at any depth, and under keys that name a secret."""
    if isinstance(value, dict):
        return {
            key: "***"
            if _names_a_secret(key)
            else _webhook_shown(inner)
            if key in _WEBHOOK_KEYS
            else _redacted(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_redacted(inner) for inner in value]
    return redacted(value) if isinstance(value, str) else value


def _names_a_secret(key: Any) -> bool:
    return any(word in str(key).lower() for word in SECRET_WORDS)


def _known_keys(model: type[BaseModel], data: Any, path: KeyPath) -> set[str]:
    """Keys that are valid in the table at `path`, by the fields of the models."""
    kinds: list[Any] = [model]
    for part in path:
        data = data[part]
        kinds = [inner for kind in kinds for inner in _inside(kind, part)]
    models = [kind for kind in kinds if _is_model(kind)]
    return {field.alias or name for found in models for name, field in found.model_fields.items()}


def _inside(kind: Any, part: str | int) -> Iterator[Any]:
    """Types of the key or index `part` in a value of type `kind`, with unions expanded."""
    origin = get_origin(kind)
    if _is_model(kind):
        for name, field in kind.model_fields.items():
            if part == (field.alias or name):
                yield from members_of(field.annotation)
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        yield from members_of(get_args(kind)[1])
    elif isinstance(origin, type) and issubclass(origin, Iterable) and isinstance(part, int):
        yield from members_of(get_args(kind)[0])


def _is_model(kind: Any) -> bool:
    """Whether a type is a model; Python 3.10 takes list[int] for a class."""
    return get_origin(kind) is None and isinstance(kind, type) and issubclass(kind, BaseModel)
