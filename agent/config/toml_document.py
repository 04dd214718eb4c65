"""TOML documents with the line and column of every key and value.

Values come from tomllib (tomli on Python 3.10), positions from tree-sitter's TOML grammar, including those in
inline tables and arrays of tables. Lines and columns count from 1, in characters.
"""

from __future__ import annotations

import copy
import itertools
import math
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import tree_sitter
import tree_sitter_toml

from agent.config.problems import ConfigProblems, Problem
from agent.config.regular_file import read_bytes
from agent.core.numbers import number_or_none

if TYPE_CHECKING:
    from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KeyPath: TypeAlias = tuple[str | int, ...]  # ("rule", 0, "when", "gesture")

MAX_FILE_BYTES = 1_000_000  # a thousand rules are 200 kB; parsing more would stall the agent
SECRET_WORDS = ("password", "passwd", "secret", "token")  # values under such keys are never shown
_SECRET_LINES = ("url", "://", "webhook", "header", "authorization")  # paths of webhooks, logins of headers
MAX_PARTS = 50  # of a dotted key; parsing time grows with the square
MAX_DIGITS = 18  # shown of a number that is out of range
_PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*"""
_TOKEN = re.compile(  # each alternative consumes whole tokens, so matching time is linear
    rf"""(?P<long>(?:{_PART}){{{MAX_PARTS}}})"""
    r'''|"""(?s:.*?)(?:"""|\Z)|"(?:[^"\\\n]|\\.)*"?'''
    r"""|'''(?s:.*?)(?:'''|\Z)|'[^'\n]*'?|#[^\n]*|[\w-]+"""
)
_ODD_NUMBER = re.compile(r"\b(?:inf|nan)\b|[0-9a-fA-F_]{16}|[eE][+-]?\d{3}")  # candidates
_WORD = r"(?P<word>[^\s\"'\[\]{}#,=][^\"'\[\]{}#,=\n]*)"
_VALUE = re.compile(_WORD)
_BARE_VALUE = re.compile(rf"=[ \t]*{_WORD}")
_LANGUAGE = tree_sitter.Language(tree_sitter_toml.language())
_AT_LINE = re.compile(r"\s*\(at line (\d+), column (\d+)\)$")
_AT_END = re.compile(r"\s*\(at end of document\)$")


@dataclass(frozen=True)
class SourcePosition:
    """Position in a file; line 0 where there is none (an environment variable)."""

    file: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True)
class TomlDocument:
    """Plain data with the position of every key and value.

    A path addresses a value: ("rule", 0, "when", "gesture").
    """

    file: str
    data: dict[str, Any]
    keys: dict[KeyPath, SourcePosition] = field(default_factory=dict, repr=False)
    values: dict[KeyPath, SourcePosition] = field(default_factory=dict, repr=False)

    def at(self, path: KeyPath) -> tuple[int, int]:
        """Return line and column of a value; of the nearest enclosing table where it is not written."""
        spot = self.spot(path)
        return spot.line, spot.column

    def spot(self, path: KeyPath, *, key: bool = False) -> SourcePosition:
        """Return the position of a value or of its key, or of the nearest enclosing table."""
        if key and path in self.keys:
            return self.keys[path]
        for end in range(len(path), 0, -1):
            if path[:end] in self.values:
                return self.values[path[:end]]
        return SourcePosition(self.file, 1, 1)

    def problem(self, path: KeyPath, text: str, *, key: bool = False) -> Problem:
        """Build a problem at the position of a value, or of its key."""
        spot = self.spot(path, key=key)
        return Problem(spot.file, spot.line, spot.column, text)

    def overlaid(self, path: tuple[str, ...], value: Any, origin: str) -> TomlDocument:
        """Return a copy with one value replaced; problems with that value name `origin` instead of a line.

        Raises `ConfigProblems` where the path leads through something other than a table.
        """
        data = copy.deepcopy(self.data)
        table: Any = data
        for part in path[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise ConfigProblems([Problem(origin, 0, 0, f'"{part}" is a value, not a table')])
        table[path[-1]] = value
        spots = {**self.values, path: SourcePosition(origin)}
        return TomlDocument(self.file, data, {**self.keys, path: SourcePosition(origin)}, spots)


def read(path: Path, name: str | None = None) -> TomlDocument:
    """Parse a file. Raises `ConfigProblems`, also for one missing, too large, not regular or not UTF-8."""
    name = name or str(path)
    try:
        return parse(read_bytes(path, MAX_FILE_BYTES).decode("utf-8-sig"), name)
    except OSError as exc:
        raise ConfigProblems([Problem(name, 0, 0, f"cannot be read: {exc.strerror}")]) from exc
    except UnicodeDecodeError as exc:
        line = exc.object[: exc.start].count(b"\n") + 1
        column = exc.start - exc.object.rfind(b"\n", 0, exc.start)
        text = f"byte 0x{exc.object[exc.start]:02x} is not UTF-8; save the file as UTF-8"
        raise ConfigProblems([Problem(name, line, column, text)]) from exc


def parse(text: str, path: str | Path) -> TomlDocument:
    """Parse TOML; `path` is the file's name in problems. Raises `ConfigProblems` on syntax errors.

    Numbers must be finite and fit 64 bits, as TOML specifies; Python accepts more.
    """
    file = str(path)
    text = text.replace("\r\n", "\n")
    if (line := _long_key(text)) is not None:
        raise ConfigProblems([Problem(file, line, 1, f"a key of more than {MAX_PARTS} parts")])
    try:
        if problems := _odd_numbers(text, file):
            raise ConfigProblems(problems)
        located = TomlDocument(file, tomllib.loads(text))
        _PositionCollector(located, text).document()
    except tomllib.TOMLDecodeError as exc:
        raise ConfigProblems([_syntax_problem(str(exc), text, file)]) from exc
    except RecursionError as exc:
        raise ConfigProblems([Problem(file, 0, 0, "is nested too deeply")]) from exc
    return located


def _long_key(text: str) -> int | None:
    """The first line with a key of too many parts; dots in strings and comments do not count."""
    if all(line.count(".") < MAX_PARTS for line in text.split("\n")):
        return None
    long = next((token for token in _TOKEN.finditer(text) if token.lastgroup == "long"), None)
    return text.count("\n", 0, long.start()) + 1 if long else None


def _odd_numbers(text: str, file: str) -> list[Problem]:
    """Problems for numbers out of range; Python accepts integers that it cannot print."""
    if not _ODD_NUMBER.search(text):
        return []
    source = text.encode()
    tree = tree_sitter.Parser(_LANGUAGE).parse(source)
    problems, nodes = [], [tree.root_node]
    while nodes:
        node = nodes.pop()
        nodes += node.named_children
        if node.type in {"integer", "float"} and (why := _why_odd(node)):
            row, byte = node.start_point.row, node.start_point.column
            column = len(source[node.start_byte - byte : node.start_byte].decode()) + 1
            problems.append(Problem(file, row + 1, column, why))
    return problems


def _why_odd(node: tree_sitter.Node) -> str | None:
    written = (node.text or b"").decode().replace("_", "")
    shown = (
        written if len(written) <= MAX_DIGITS else f"{written[:MAX_DIGITS]}... ({len(written)} characters)"
    )
    if node.type == "float":
        return None if math.isfinite(float(written)) else f"{shown} is no number that can be used here"
    digits = written.removeprefix("-").removeprefix("+")
    based = digits[:2] in {"0x", "0o", "0b"}
    fits = (
        len(digits) <= 70 and -(2**63) <= int(written, 0 if based else 10) < 2**63
    )  # 64 bits in binary are 66
    return None if fits else f"{shown} is too large for a number"


def _syntax_problem(message: str, text: str, file: str) -> Problem:
    lines = text.split("\n")
    if match := _AT_LINE.search(message):
        row, column = int(match[1]), int(match[2])
        said = _AT_LINE.sub("", message)
        return Problem(file, row, column, said + _what_to_write(lines[row - 1], column))
    return Problem(file, len(lines), len(lines[-1]) + 1, _AT_END.sub(" at the end of the file", message))


def _what_to_write(line: str, column: int) -> str:
    """Advice for an unquoted text value or an unclosed quote; empty otherwise."""
    if column > len(line):
        return "; a quote that is opened in this line is not closed" if line.count('"') % 2 else ""
    values = (
        value for value in _BARE_VALUE.finditer(line) if value.start("word") < column <= value.end() + 1
    )
    if not (written := next(values, None) or _VALUE.match(line, column - 1)):
        return ""
    word = written["word"].strip()
    if word.lower() in {"true", "false"}:
        return f"; write {word.lower()}"
    if number_or_none(word) is not None:
        return ""
    hidden = any(secret in line.lower() for secret in (*SECRET_WORDS, *_SECRET_LINES))
    return "; text stands in quotes" + ("" if hidden else f': "{word[:60]}"')


class _PositionCollector:
    """Records the position of every key and value of a document that tomllib has accepted."""

    def __init__(self, located: TomlDocument, text: str) -> None:
        self._file, self._keys, self._values = located.file, located.keys, located.values
        self._root = tree_sitter.Parser(_LANGUAGE).parse(text.encode()).root_node
        self._lines = [line.encode() for line in text.split("\n")]
        self._plain = [line.isascii() for line in self._lines]
        self._columns: dict[int, list[int]] = {}  # for rows with multi-byte characters: byte to column
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
        """The path, or that of the newest element of an array of tables; records its position."""
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
        """Record a position; the first mention of a table wins."""
        self._keys.setdefault(path, self._spot(node))
        self._values.setdefault(path, self._spot(node))

    def _spot(self, node: tree_sitter.Node) -> SourcePosition:
        row, byte = node.start_point.row, node.start_point.column
        return SourcePosition(self._file, row + 1, self._column(row, byte))

    def _column(self, row: int, byte: int) -> int:
        """Column of a byte; computed once for each row, as a line may hold 100,000 values."""
        if self._plain[row]:
            return byte + 1
        if row not in self._columns:
            begins = (each & 0xC0 != 0x80 for each in self._lines[row])  # continuation bytes do not count
            self._columns[row] = [0, *itertools.accumulate(begins)]
        return self._columns[row][byte] + 1


def _names(node: tree_sitter.Node) -> list[str]:
    """The parts of a key (bare, quoted or dotted), as tomllib reads them."""
    text = (node.text or b"").decode()
    if node.type == "bare_key":
        return [text]
    names, table = [], tomllib.loads(f"{text} = 0")
    while isinstance(table, dict):
        [(name, table)] = table.items()
        names.append(name)
    return names
