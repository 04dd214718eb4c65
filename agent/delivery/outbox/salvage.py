"""Recovery of rows from an outbox file that is damaged, removed or replaced."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.delivery.outbox.row import (
    COLUMNS,
    CONTENT,
    DB_ERRORS,
    Row,
    RowError,
    as_text,
    from_columns,
    from_content,
)


@dataclass
class Salvage:
    """Recovered rows by id and counters by name; `whole` when the source was undamaged."""

    rows: dict[int, Row] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    whole: bool = False


def salvage(path: Path) -> Salvage:
    """Recover the rows of a closed file without changing it. Never raises."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0)) as db:
            return salvage_open(db)
    except DB_ERRORS:
        return Salvage()


def salvage_open(db: sqlite3.Connection) -> Salvage:
    """Recover the rows of an open connection, which still sees a removed file. Never raises."""
    db.text_factory = as_text
    found = Salvage()
    # From both ends, because reading stops at a damaged page.
    for order in ("ASC", "DESC"):
        for values, read in _read(db, order):
            try:
                row = read(values)
            except RowError:
                continue
            found.rows.setdefault(row.id, row)
    found.counters = counters_of(db)
    found.whole = _is_whole(db)
    return found


def counters_of(db: sqlite3.Connection) -> dict[str, int]:
    """Return the valid counters; corrupted ones are left out. Never raises."""
    try:
        stored = db.execute("SELECT name, value FROM counters").fetchall()
    except DB_ERRORS:
        return {}
    return {
        name: value
        for name, value in stored
        if isinstance(name, str) and isinstance(value, int) and 0 <= value < 2**53
    }


def _read(
    db: sqlite3.Connection, order: str
) -> Iterator[tuple[Sequence[Any], Callable[[Sequence[Any]], Row]]]:
    """Readable rows; also of version 1, which had no checksums."""
    for columns, read in ((COLUMNS, from_columns), (CONTENT, from_content)):
        try:
            for values in db.execute(f"SELECT {columns} FROM rows ORDER BY id {order}"):  # noqa: S608
                yield values, read
        except DB_ERRORS as exc:
            if "no such column: crc" in str(exc):
                continue
        return


def _is_whole(db: sqlite3.Connection) -> bool:
    try:
        return bool(db.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok")
    except DB_ERRORS:
        return False
