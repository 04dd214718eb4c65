"""Access to the outbox from the command line, also while an agent uses it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.delivery.outbox.database import FILE
from agent.delivery.outbox.row import (
    COLUMNS,
    CONTENT,
    DB_ERRORS,
    Row,
    RowError,
    as_text,
    dead_letter,
    from_columns,
    from_content,
)
from agent.delivery.outbox.upgrade import lacks_checksums
from agent.errors import CannotStart


def list_rows(folder: Path, limit: int = 1000) -> list[Row]:
    """Return waiting rows and dead letters, oldest first. Raises `CannotStart`."""
    with _visit(folder) as db:
        if db is None:
            return []
        columns, read = (CONTENT, from_content) if lacks_checksums(db) else (COLUMNS, from_columns)
        found = db.execute(f"SELECT {columns} FROM rows ORDER BY id LIMIT ?", (limit,))  # noqa: S608
        return [_shown(values, read) for values in found]


def purge(folder: Path, *, dead_only: bool = False) -> int:
    """Remove rows without sending them; return how many. Raises `CannotStart`."""
    with _visit(folder) as db:
        if db is None:
            return 0
        return db.execute("DELETE FROM rows WHERE dead IS NOT NULL OR ?", (not dead_only,)).rowcount


def _shown(values: Sequence[Any], read: Callable[[Sequence[Any]], Row]) -> Row:
    try:
        return read(values)
    except RowError as exc:
        return dead_letter(values, str(exc))


@contextlib.contextmanager
def _visit(folder: Path) -> Iterator[sqlite3.Connection | None]:
    path = folder / FILE
    try:
        path.stat()
    except FileNotFoundError:
        yield None
        return
    except OSError as exc:
        raise CannotStart(f"outbox {path}: cannot be read ({exc.strerror})") from exc
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=5.0, isolation_level=None)) as db:
            db.text_factory = as_text
            yield db
    except DB_ERRORS as exc:
        raise CannotStart(f"outbox {path}: cannot be read ({exc})") from exc
