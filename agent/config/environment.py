"""Settings from environment variables: GESTURE_AGENT__MQTT__URL is `url` in `[mqtt]`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from agent.config.annotations import members_of
from agent.config.problems import ConfigProblems, Problem, did_you_mean
from agent.config.renamed_keys import RemovedKey, current_path, removed_key
from agent.config.settings import Secret, Settings
from agent.config.toml_document import TomlDocument, parse

PREFIX = "GESTURE_AGENT__"
SEPARATOR = "__"


class _WrongNameError(Exception):
    """A variable that names no setting; the text says why."""


def overlay(located: TomlDocument, environ: Mapping[str, str]) -> tuple[TomlDocument, list[Problem]]:
    """Apply all variables to the settings; also return a problem for each variable that names no setting.

    Values are converted to the field's type here and checked by validation later.
    """
    problems = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or (current_name(name) != name and current_name(name) in environ):
            continue
        if _removed(name):
            continue
        try:
            path, kind = _find(name, located.data)
            located = located.overlaid(path, _parsed(environ[name], kind), name)
        except _WrongNameError as exc:
            problems.append(Problem(name, 0, 0, str(exc)))
    return located, problems


def current_name(name: str) -> str:
    """Return a variable's name with renamed settings replaced by their current names."""
    parts = name.removeprefix(PREFIX).split(SEPARATOR)
    lower = [part.lower() for part in parts]
    new = current_path(lower)
    return name if new == tuple(lower) else PREFIX + SEPARATOR.join(new).upper()


def old_names(environ: Mapping[str, str]) -> list[str]:
    """Return a warning for every variable whose setting was renamed or removed."""
    given = [name for name in sorted(environ) if name.startswith(PREFIX)]
    renamed = [f"{name} is now called {current_name(name)}" for name in given if current_name(name) != name]
    return renamed + [f"{name} {key.warning}" for name in given if (key := _removed(name))]


def _removed(name: str) -> RemovedKey | None:
    return removed_key(name.removeprefix(PREFIX).lower().split(SEPARATOR))


def variables(kind: Any = Settings, prefix: str = PREFIX.removesuffix(SEPARATOR)) -> Iterator[str]:
    """Yield the names of all variables; NAME stands for the name of a camera."""
    members = list(members_of(kind))
    if table := next((get_args(member)[1] for member in members if get_origin(member) is dict), None):
        yield from variables(table, f"{prefix}{SEPARATOR}NAME")
    elif model := _model(members):
        for field, info in model.model_fields.items():
            yield from variables(info.annotation, f"{prefix}{SEPARATOR}{field.upper()}")
    else:
        yield prefix


def _find(name: str, data: Mapping[str, Any]) -> tuple[tuple[str, ...], Any]:
    """Path and type of the setting that a variable names. Raises `_WrongNameError`."""
    kind: Any = Settings
    path: list[str] = []
    for part in current_path(name.removeprefix(PREFIX).lower().split(SEPARATOR)):
        members = list(members_of(kind))
        if get_origin(members[0]) is dict:
            part, kind = _entry(part, data.get(path[-1])), get_args(members[0])[1]  # noqa: PLW2901
        elif (model := _model(members)) and part in model.model_fields:
            kind = model.model_fields[part].annotation
        else:
            raise _WrongNameError(_unknown(name, path))
        path.append(part)
    if _model(list(members_of(kind))) is Secret:
        raise _WrongNameError(f"a secret is never written here: put it into a file and set {name}__FILE=PATH")
    if len(path) < 2 or _model(list(members_of(kind))):
        raise _WrongNameError(f"is a section, not a setting; its settings begin with {name}{SEPARATOR}")
    return tuple(path), kind


def _entry(part: str, entries: Any) -> str:
    """Key of a user-named table as the file spells it; variables cannot contain "-"."""
    names = entries if isinstance(entries, dict) else {}
    return next((name for name in names if name.replace("-", "_") == part), part)


def _unknown(name: str, path: list[str]) -> str:
    """Error text for a variable that names no setting, with the most similar one that does."""
    camera = name.removeprefix(PREFIX).split(SEPARATOR)[1] if path[:1] == ["camera"] else "NAME"
    known = [known.replace(f"CAMERA{SEPARATOR}NAME", f"CAMERA{SEPARATOR}{camera}") for known in variables()]
    meant = did_you_mean(name, known)
    return f"names no setting; did you mean {meant}?" if meant else "names no setting; see config.toml"


def _parsed(text: str, kind: Any) -> Any:
    members = list(members_of(kind))
    if not text and NoneType in members:
        return None
    numbers = [value for member in members if get_origin(member) is Literal for value in get_args(member)]
    if text in map(str, numbers):
        return next(value for value in numbers if str(value) == text)
    if any(get_origin(member) in {list, tuple, dict, set, frozenset} for member in members):
        try:
            return parse(f"value = {text}", "").data["value"]
        except ConfigProblems:
            return text  # validation reports the expected type
    return text


def _model(members: list[Any]) -> type[BaseModel] | None:
    classes = (member for member in members if get_origin(member) is None and isinstance(member, type))
    return next((found for found in classes if issubclass(found, BaseModel)), None)
