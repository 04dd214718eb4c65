"""TOML in which every key and value knows its line and column.

tomllib (tomli on Python 3.10) says what the values are; tree-sitter's TOML grammar says where they
stand, also inside inline tables and arrays of tables. Lines and columns count from 1, in characters.
"""

from __future__ import annotations

import copy
import itertools
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import tree_sitter
import tree_sitter_toml

from agent.config.problems import ConfigProblems, Problem

if TYPE_CHECKING:
    from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KeyPath: TypeAlias = tuple[str | int, ...]  # ("rule", 0, "when", "gesture")

MAX_FILE_BYTES = 1_000_000  # a thousand rules are 200 kB; more is a mistake, and parsing it would stall
MAX_PARTS = 50  # of a dotted key; the time to read it grows with their square
_LONG_KEY = re.compile(rf"""(?m)^\s*\[*\s*(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')\s*\.\s*){{{MAX_PARTS}}}""")
_LANGUAGE = tree_sitter.Language(tree_sitter_toml.language())
_AT_LINE = re.compile(r"\s*\(at line (\d+), column (\d+)\)$")
_AT_END = re.compile(r"\s*\(at end of document\)$")


@dataclass(frozen=True)
class Spot:
    """Where something was written; line 0 where there are no lines (an environment variable)."""

    file: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True)
class Located:
    """Plain data and the places it came from.

    A path is what leads to a value: ("rule", 0, "when", "gesture").
    """

    file: str
    data: dict[str, Any]
    keys: dict[KeyPath, Spot] = field(default_factory=dict, repr=False)
    values: dict[KeyPath, Spot] = field(default_factory=dict, repr=False)

    def at(self, path: KeyPath) -> tuple[int, int]:
        """Line and column of a value; of the nearest table around it where the path is not written."""
        spot = self.spot(path)
        return spot.line, spot.column

    def spot(self, path: KeyPath, *, key: bool = False) -> Spot:
        """Place of a value, or of the key that names it; of the nearest table around it otherwise."""
        if key and path in self.keys:
            return self.keys[path]
        for end in range(len(path), 0, -1):
            if path[:end] in self.values:
                return self.values[path[:end]]
        return Spot(self.file, 1, 1)

    def problem(self, path: KeyPath, text: str, *, key: bool = False) -> Problem:
        """A problem with a value, or with the key that names it."""
        spot = self.spot(path, key=key)
        return Problem(spot.file, spot.line, spot.column, text)

    def overlaid(self, path: tuple[str, ...], value: Any, origin: str) -> Located:
        """The same with one value from elsewhere; problems with it name `origin` instead of a line.

        Raises `ConfigProblems` where the path leads through something that is not a table.
        """
        data = copy.deepcopy(self.data)
        table: Any = data
        for part in path[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise ConfigProblems([Problem(origin, 0, 0, f'"{part}" is a value, not a table')])
        table[path[-1]] = value
        spots = {**self.values, path: Spot(origin)}
        return Located(self.file, data, {**self.keys, path: Spot(origin)}, spots)


def read(path: Path, name: str | None = None) -> Located:
    """Parse a file. Raises `ConfigProblems`, also for a file that is absent, huge or not UTF-8."""
    name = name or str(path)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            text = f"is {path.stat().st_size} bytes long; at most {MAX_FILE_BYTES} are read"
            raise ConfigProblems([Problem(name, 0, 0, text)])
        return parse(path.read_text(encoding="utf-8-sig"), name)
    except OSError as exc:
        raise ConfigProblems([Problem(name, 0, 0, f"cannot be read: {exc.strerror}")]) from exc
    except UnicodeDecodeError as exc:
        line = exc.object[: exc.start].count(b"\n") + 1
        column = exc.start - exc.object.rfind(b"\n", 0, exc.start)
        text = f"byte 0x{exc.object[exc.start]:02x} is not UTF-8; save the file as UTF-8"
        raise ConfigProblems([Problem(name, line, column, text)]) from exc


def parse(text: str, path: str | Path) -> Located:
    """Parse TOML; `path` is what problems call the file. Raises `ConfigProblems` on bad syntax."""
    file = str(path)
    if long := _LONG_KEY.search(text):
        line = text.count("\n", 0, long.end()) + 1
        raise ConfigProblems([Problem(file, line, 1, f"a key of more than {MAX_PARTS} parts")])
    try:
        located = Located(file, tomllib.loads(text))
        _Walk(located, text).document()
    except tomllib.TOMLDecodeError as exc:
        raise ConfigProblems([_syntax_problem(str(exc), text, file)]) from exc
    except RecursionError as exc:
        raise ConfigProblems([Problem(file, 0, 0, "is nested too deeply")]) from exc
    return located


def _syntax_problem(message: str, text: str, file: str) -> Problem:
    if match := _AT_LINE.search(message):
        return Problem(file, int(match[1]), int(match[2]), _AT_LINE.sub("", message))
    lines = text.split("\n")
    return Problem(file, len(lines), len(lines[-1]) + 1, _AT_END.sub(" at the end of the file", message))


class _Walk:
    """Notes the place of every key and value of one document that tomllib has accepted."""

    def __init__(self, located: Located, text: str) -> None:
        self._file, self._keys, self._values = located.file, located.keys, located.values
        self._root = tree_sitter.Parser(_LANGUAGE).parse(text.encode()).root_node
        self._lines = [line.encode() for line in text.split("\n")]
        self._plain = [line.isascii() for line in self._lines]
        self._columns: dict[int, list[int]] = {}  # of rows with letters of several bytes: byte to column
        self._counts: dict[KeyPath, int] = {}  # tables so far in each array of tables

    def document(self) -> None:
        for node in self._root.named_children:
            if node.type == "pair":
                self._pair((), node)
            elif node.type in {"table", "table_array_element"}:
                self._table(node)

    def _table(self, node: tree_sitter.Node) -> None:
        key, *pairs = [child for child in node.named_children if child.type != "comment"]
        names = _names(key)
        base: KeyPath = ()
        for name in names[:-1]:
            base = self._last((*base, name), key)
        path: KeyPath = (*base, names[-1])
        if node.type == "table_array_element":
            self._note(path, key)
            self._counts[path] = self._counts.get(path, 0) + 1
        path = self._last(path, key)
        for pair in pairs:
            if pair.type == "pair":
                self._pair(path, pair)

    def _last(self, path: KeyPath, node: tree_sitter.Node) -> KeyPath:
        """The path itself, or its newest element where it is an array of tables; noted either way."""
        self._note(path, node)
        if path in self._counts:
            path = (*path, self._counts[path] - 1)
            self._note(path, node)
        return path

    def _pair(self, base: KeyPath, node: tree_sitter.Node) -> None:
        key, value = [child for child in node.named_children if child.type != "comment"][:2]
        names = _names(key)
        for depth in range(1, len(names)):
            self._note((*base, *names[:depth]), key)
        path = (*base, *names)
        self._keys[path] = self._spot(key)
        self._value(path, value)

    def _value(self, path: KeyPath, node: tree_sitter.Node) -> None:
        self._values[path] = self._spot(node)
        children = [child for child in node.named_children if child.type != "comment"]
        if node.type == "inline_table":
            for pair in children:
                self._pair(path, pair)
        elif node.type == "array":
            for index, child in enumerate(children):
                self._value((*path, index), child)

    def _note(self, path: KeyPath, node: tree_sitter.Node) -> None:
        """First mention wins: it is where a reader looks for the table."""
        self._keys.setdefault(path, self._spot(node))
        self._values.setdefault(path, self._spot(node))

    def _spot(self, node: tree_sitter.Node) -> Spot:
        row, byte = node.start_point.row, node.start_point.column
        return Spot(self._file, row + 1, self._column(row, byte))

    def _column(self, row: int, byte: int) -> int:
        """Counted once a row: a line may be a megabyte long and hold a hundred thousand values."""
        if self._plain[row]:
            return byte + 1
        if row not in self._columns:
            begins = (
                each & 0xC0 != 0x80 for each in self._lines[row]
            )  # not the second and further bytes of a letter
            self._columns[row] = [0, *itertools.accumulate(begins)]
        return self._columns[row][byte] + 1


def _names(node: tree_sitter.Node) -> list[str]:
    """The parts of a key as tomllib reads them: bare, quoted or dotted."""
    text = (node.text or b"").decode()
    if node.type == "bare_key":
        return [text]
    names, table = [], tomllib.loads(f"{text} = 0")
    while isinstance(table, dict):
        [(name, table)] = table.items()
        names.append(name)
    return names
