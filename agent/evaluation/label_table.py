"""Reading of CSV tables in the encodings and dialects that editors and spreadsheets write."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.core.numbers import read_float
from agent.errors import ConfigError

DELIMITERS = ",;\t|"
MAX_BYTES = 100_000_000
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_TOLD = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)  # Excel's optional first line


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """One row; `values` by column name, in lower case without surrounding blanks."""

    line: int  # its first line, from 1
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LabelTable:
    """Columns in their order, and the non-empty rows."""

    columns: tuple[str, ...]
    rows: tuple[LabelledRow, ...]


def read_text(path: Path) -> str:
    """Decode a file as UTF-8, UTF-16 with a byte order mark, or Windows-1252. Raises `ConfigError`."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: is larger than {MAX_BYTES / 1e6:.0f} MB; expected a table in text")
        data = path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}; expected a CSV file") from exc
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    for encoding in (marked,) if marked else ("utf-8", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError as exc:
            wrong = exc.start
        else:
            if "\0" in text:
                wrong = data.index(b"\0")
                break
            return text
    line = data.count(b"\n", 0, wrong) + 1
    column = wrong - data.rfind(b"\n", 0, wrong)
    raise ConfigError(f"{path}:{line}:{column}: byte {data[wrong]:#04x} is no text; save it as CSV in UTF-8")


def read_table(path: Path, text: str | None = None) -> LabelTable:
    """Read a CSV with a header, separated by comma, semicolon, tab or bar. Raises `ConfigError`."""
    text = read_text(path) if text is None else text
    told = _TOLD.match(text)
    skipped = 1 if told else 0
    text = text[told.end() :] if told else text
    header = text.partition("\n")[0]
    delimiter = told.group(1) if told else max(DELIMITERS, key=header.count)
    rows = _rows(path, text, delimiter, skipped)
    columns = tuple(name.strip().lower() for name in next(rows, (0, []))[1])
    found = []
    for line, fields in rows:
        if len(fields) > len(columns) and any(field.strip() for field in fields[len(columns) :]):
            raise ConfigError(
                f"{path}:{line}: {len(fields)} fields, the header has {len(columns)}; "
                f'put a field that holds "{delimiter}" between quotes'
            )
        if any(field.strip() for field in fields):
            padded = [*fields, *[""] * (len(columns) - len(fields))]
            values = {name: field.strip() for name, field in zip(columns, padded, strict=False)}
            found.append(LabelledRow(line, values))
    return LabelTable(columns, tuple(found))


def _rows(path: Path, text: str, delimiter: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and fields of each row."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + skipped + 1
        try:
            fields = next(reader, None)
        except csv.Error as exc:
            raise ConfigError(f"{path}:{line}:{_column(text, line - skipped)}: {_why(exc)}") from exc
        if fields is None:
            return
        yield line, fields


def _column(text: str, line: int) -> int:
    """Column of the first quote in a line, from 1."""
    return text.splitlines()[line - 1].find('"') + 1 or 1


def _why(error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return 'a quote (") opens here and is never closed'
    return f'{error}; inside quotes a quote is written twice ("")'


def number(text: str) -> float:
    """Parse a finite number with a decimal point or comma. Raises `ValueError`."""
    return read_float(text.strip().replace(",", "."))
