"""Renamed and removed settings and rule keys: they are accepted for this release, with a warning."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from agent.config.problems import Problem
from agent.config.toml_document import KeyPath, SourcePosition, TomlDocument

ANY = "*"  # any name or index in a path


@dataclass(frozen=True, slots=True)
class RenamedKey:
    """A renamed key in `table`; `ANY` stands for the name of a camera or the index of a rule."""

    table: tuple[str, ...]
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class RemovedKey:
    """A key in `table` that has no effect any more, and the reason."""

    table: tuple[str, ...]
    old: str
    why: str

    @property
    def warning(self) -> str:
        """Text of the warning."""
        return f"has no effect any more ({self.why}); remove it"


RENAMED_SETTINGS = (
    RenamedKey((), "rest", "idle"),
    RenamedKey(("camera", ANY), "stall", "stall_timeout"),
    RenamedKey(("recognition",), "look_around", "redetect_interval"),
    RenamedKey(("recognition",), "min_person", "person_confidence"),
    RenamedKey(("debounce",), "keep", "keep_confidence"),
)
REMOVED_SETTINGS = (
    RemovedKey(
        ("recognition", "tensorrt"), "overlap", "a GPU always classifies tracked hands beside the poses"
    ),
)
RENAMED_RULE_KEYS = (RenamedKey(("rule", ANY), "also", "continue"),)

_Places: TypeAlias = dict[KeyPath, SourcePosition]


def with_new_names(
    document: TomlDocument, renamed: Sequence[RenamedKey]
) -> tuple[TomlDocument, list[Problem]]:
    """Return the document with old names replaced by new ones, and a warning for each.

    Where a table has both names, the old one is kept and rejected by validation as unknown.
    """
    warnings: list[Problem] = []
    for key in renamed:
        for table in _tables(document.data, key.table):
            found = _at(document.data, table)
            if key.old in found and key.new not in found:
                old, new = (*table, key.old), (*table, key.new)
                warnings.append(document.problem(old, f'"{key.old}" is now called "{key.new}"', key=True))
                document = _moved(document, old, new)
    return document, warnings


def without_removed(
    document: TomlDocument, removed: Sequence[RemovedKey] = REMOVED_SETTINGS
) -> tuple[TomlDocument, list[Problem]]:
    """Return the document without removed keys, and a warning for each."""
    warnings: list[Problem] = []
    for key in removed:
        for table in _tables(document.data, key.table):
            if key.old in _at(document.data, table):
                path = (*table, key.old)
                warnings.append(document.problem(path, f'"{key.old}" {key.warning}', key=True))
                data = copy.deepcopy(document.data)
                del _at(data, table)[key.old]
                document = TomlDocument(document.file, data, document.keys, document.values)
    return document, warnings


def removed_key(path: Sequence[str], removed: Sequence[RemovedKey] = REMOVED_SETTINGS) -> RemovedKey | None:
    """Return the removed key that a path of a setting names; None for all others."""
    return next((k for k in removed if path[-1:] == [k.old] and _matches(path[:-1], k.table)), None)


def current_path(path: Sequence[str], renamed: Sequence[RenamedKey] = RENAMED_SETTINGS) -> tuple[str, ...]:
    """Return the path of a setting with old names replaced by new ones."""
    parts = tuple(path)
    for key in renamed:
        depth = len(key.table)
        if len(parts) > depth and parts[depth] == key.old and _matches(parts[:depth], key.table):
            parts = (*parts[:depth], key.new, *parts[depth + 1 :])
    return parts


def _matches(path: Sequence[str], pattern: Sequence[str]) -> bool:
    return len(path) == len(pattern) and all(
        want in {ANY, part} for part, want in zip(path, pattern, strict=True)
    )


def _tables(data: Any, pattern: tuple[str, ...], at: KeyPath = ()) -> list[KeyPath]:
    """Paths of all tables that match a pattern."""
    if not pattern:
        return [at] if isinstance(data, dict) else []
    head, rest = pattern[0], pattern[1:]
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    inner = [(name, part) for name, part in entries if head in {ANY, name}]
    return [found for name, part in inner for found in _tables(part, rest, (*at, name))]


def _at(data: Any, path: KeyPath) -> Any:
    for part in path:
        data = data[part]
    return data


def _moved(document: TomlDocument, old: KeyPath, new: KeyPath) -> TomlDocument:
    data = copy.deepcopy(document.data)
    table = _at(data, old[:-1])
    table[new[-1]] = table.pop(old[-1])

    def renamed(places: _Places) -> _Places:
        deep = len(old)
        return {(*new, *at[deep:]) if at[:deep] == old else at: spot for at, spot in places.items()}

    return TomlDocument(document.file, data, renamed(document.keys), renamed(document.values))
