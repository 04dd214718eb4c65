"""Upgrade of outbox files that release 0.1.0 wrote: their rows have no checksums."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from agent.delivery.outbox.row import COLUMNS, CONTENT, Row, RowError, dead_letter, from_content, to_columns


def lacks_checksums(db: sqlite3.Connection) -> bool:
    """Whether the file is one of release 0.1.0. Raises `sqlite3.Error`."""
    columns = [column[1] for column in db.execute("PRAGMA table_info(rows)")]
    return columns == CONTENT.split(", ")


def add_checksums(db: sqlite3.Connection, schema: str) -> int:
    """Rewrite all rows with checksums, in one transaction, and return their number. Raises `sqlite3.Error`.

    `schema` creates the tables of today. A row that cannot be read becomes a dead letter.
    """
    with db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("DROP INDEX IF EXISTS by_deadline")
        db.execute("ALTER TABLE rows RENAME TO former_rows")
        for statement in filter(str.strip, schema.split(";")):
            db.execute(statement)
        former = db.execute(f"SELECT {CONTENT} FROM former_rows ORDER BY id").fetchall()  # noqa: S608
        for values in former:
            row = to_columns(_row(values))
            db.execute(f"INSERT INTO rows ({COLUMNS}) VALUES ({','.join('?' * len(row))})", row)  # noqa: S608
        db.execute("DROP TABLE former_rows")
    return len(former)


def _row(values: Sequence[Any]) -> Row:
    try:
        return from_content(values)
    except RowError as exc:
        return dead_letter(values, str(exc))
