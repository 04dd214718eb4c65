"""Storage of the outbox: transactions, and a memory overflow while the disk refuses writes.

A file that is damaged, removed, replaced or truncated is replaced by a new one.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog

from agent.delivery.clocks import Clocks
from agent.delivery.outbox.database import (
    ADD_UP,
    COUNTERS,
    FileIdentity,
    is_damage,
    lock,
    open_or_replace,
    replace_file,
)
from agent.delivery.outbox.row import (
    COLUMNS,
    DB_ERRORS,
    Row,
    RowError,
    dead_letter,
    from_columns,
    to_columns,
)
from agent.delivery.outbox.salvage import Salvage, counters_of, salvage_open

log = structlog.get_logger(__name__)

MEND_EVERY_S = 10.0  # seconds between retries while the disk refuses
LOOK_EVERY_S = 1.0  # seconds between checks that the file is still there
SCRUB_EVERY_S = 60.0  # check that every row is readable: others would neither be sent nor expire
REMEMBERED = 1000  # committed rows kept in memory, in case the file is lost
REMEMBERED_BYTES = 4_000_000
SENDING = "sending"  # stored beside the counters: rows may have been sent since the last clean shutdown


@dataclass
class MemoryOverflow:
    """Rows and changes that the disk refused, kept in memory until it accepts them."""

    rows: dict[int, Row] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)  # rows on disk that must not be sent again
    since: float = 0.0
    tried: float = 0.0


class Remembered:
    """Copies of the newest committed rows, within limits."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self._bytes = 0

    def add(self, rows: Iterable[Row]) -> None:
        """Add rows; the oldest are dropped beyond the limits."""
        for row in rows:
            self.rows[row.id] = row
            self._bytes += row.size
        while len(self.rows) > REMEMBERED or (self._bytes > REMEMBERED_BYTES and self.rows):
            self.forget(next(iter(self.rows)))

    def forget(self, row_id: int) -> None:
        """Remove rows that have left the outbox."""
        row = self.rows.pop(row_id, None)
        if row is not None:
            self._bytes -= row.size


class Store:
    """Rows and counters on disk, or in memory while it refuses. For the thread that opened it."""

    def __init__(self, path: Path, clocks: Clocks) -> None:
        self.aside = MemoryOverflow()
        self.remembered = Remembered()
        self.counters: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self.trouble: str | None = None  # why rows wait in memory
        self.next_id = 1
        self.sent_before = False  # an earlier process may have sent rows that are here
        self.sending = False  # this process may have
        self.db: sqlite3.Connection | None = None
        self.place: FileIdentity | None = None
        self.looked = self.scrubbed = 0.0
        self._path, self._clocks = path, clocks
        self._lock: int | None = None
        self._unsaved: dict[str, int] = {}

    def open(self) -> None:
        """Open the file.

        Raises `OSError`, `sqlite3.Error`, or `CannotStart` when another agent uses the folder.
        """
        self._make_folder()
        self._begin()
        self.write("recover", lambda _db: None)

    def close(self) -> None:
        """Close the file and release the lock."""
        if self.db is not None:
            self.db.close()
            self.db = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def add(self, rows: Sequence[Row]) -> None:
        """Commit rows that have ids; while the disk is full they wait in memory."""
        if self.write("add rows", lambda db: db.executemany(_INSERT, map(to_columns, rows))):
            self.remembered.add(rows)
        else:
            self.aside.rows |= {row.id: row for row in rows}

    def note(self, name: str, *, on: bool) -> bool:
        """Set or clear a flag beside the counters; True when it is on disk."""
        if on:
            change, why = "INSERT OR REPLACE INTO counters VALUES (?, 1)", "note that rows are sent"
        else:
            change, why = "DELETE FROM counters WHERE name = ?", "close"
        return self.write(why, lambda db: db.execute(change, (name,)))

    def dead_letter(self, row: Row, reason: str) -> None:
        """Keep a row as a dead letter: never sent again, listed by `outbox list`."""
        self.count(refused=1)
        self.aside.rows.pop(row.id, None)
        self.remembered.forget(row.id)
        dead = row if row.dead is not None else replace(row, dead=reason)
        if not self.write("keep a dead letter", lambda db: db.execute(_REPLACE, to_columns(dead))):
            self.aside.removed.add(row.id)

    def remove(self, ids: Sequence[int]) -> None:
        """Remove rows that left the outbox."""
        on_disk = [i for i in ids if self.aside.rows.pop(i, None) is None]
        for row_id in ids:
            self.remembered.forget(row_id)
        delete = "DELETE FROM rows WHERE id = ?"
        if not self.write("remove rows", lambda db: db.executemany(delete, [(i,) for i in on_disk])):
            self.aside.removed.update(on_disk)

    def count(self, **more: int) -> None:
        """Count outcomes of rows; on disk with the next transaction."""
        for name, n in more.items():
            self.counters[name] += n
            self._unsaved[name] = self._unsaved.get(name, 0) + n

    def retry_storage(self) -> None:
        """Check the file for damage and retry a disk that refused writes. Call it regularly."""
        now = time.monotonic()
        if self.db is not None and self.place is not None and now - self.looked >= LOOK_EVERY_S:
            self.looked = now
            changed = self.place.changed()
            if changed is not None:
                self._renew(changed)
        if now - self.scrubbed >= SCRUB_EVERY_S:
            self.scrub()
        if self.trouble is None or now - self.aside.tried < MEND_EVERY_S:
            return
        self.aside.tried = now
        if self.db is None:
            with contextlib.suppress(OSError, *DB_ERRORS):
                self._make_folder()
                self._begin()
        self.write("recover", lambda _db: None)

    def scrub(self) -> None:
        """Read every waiting row: an unreadable one becomes a dead letter."""
        self.scrubbed = time.monotonic()
        self.read(f"SELECT {COLUMNS} FROM rows WHERE dead IS NULL", ())  # noqa: S608

    def write(self, what: str, change: Any) -> bool:
        """Run one transaction with the change, the counters and the memory overflow; False if it failed."""
        if self.db is None:
            return False
        overflow = self.aside
        try:
            with self.db as db:
                db.execute("BEGIN IMMEDIATE")
                change(db)
                db.executemany(_REPLACE, map(to_columns, overflow.rows.values()))
                db.executemany("DELETE FROM rows WHERE id = ?", [(i,) for i in overflow.removed])
                db.executemany(ADD_UP, list(self._unsaved.items()))
        except DB_ERRORS as exc:
            self._fail(what, exc)
            return False
        self._unsaved.clear()
        if self.trouble is not None:
            log.info(
                "outbox_recovered",
                rows=len(overflow.rows),
                after_s=round(time.monotonic() - overflow.since, 1),
            )
            self.trouble = None
        self.remembered.add(overflow.rows.values())
        overflow.rows.clear()
        overflow.removed.clear()
        return True

    def fetch(self, query: str, values: Any = ()) -> list[Any]:
        """Return the rows of a query; nothing while there is no file."""
        if self.db is None:
            return []
        try:
            return self.db.execute(query, values).fetchall()
        except DB_ERRORS as exc:
            self._fail("read", exc)
            return []

    def read(self, query: str, values: Any) -> list[Row]:
        """Return readable rows that have not left; unreadable ones become dead letters."""
        rows = []
        for found in self.fetch(query, values):
            if found[0] in self.aside.removed:
                continue
            try:
                rows.append(from_columns(found))
            except RowError as exc:
                log.error("outbox_row_unreadable", id=found[0], reason=str(exc), now="a dead letter")
                self.dead_letter(dead_letter(found, str(exc)), "")
        return rows

    def _fail(self, what: str, exc: Exception) -> None:
        self._in_trouble(f"cannot {what}: {exc}", doing=what, reason=str(exc))
        if is_damage(exc, self._path):
            self._renew(str(exc))

    def _in_trouble(self, trouble: str, **facts: str) -> None:
        if self.trouble is None:
            self.aside.since = self.aside.tried = time.monotonic()
            log.error("outbox_failed", **facts, file=str(self._path), rows_wait_in="memory")
        self.trouble = trouble

    def _renew(self, reason: str) -> None:
        """Replace a lost or damaged file by a new one with all rows that can be read or are remembered.

        They are written with the next transaction, or with `retry_storage`.
        """
        if self.db is None:
            return
        found = salvage_open(self.db)
        if not found.whole:  # somebody may have purged rows of it that we remember
            found.rows |= self.remembered.rows
        found.counters = {**self.counters, SENDING: int(self.sending)}
        self.db.close()
        self.db = None
        self._in_trouble(reason, doing="go on with the file", reason=reason)
        self.aside.tried = 0.0
        self._take_over(found)
        with contextlib.suppress(OSError, *DB_ERRORS):
            self._make_folder()
            self.db = replace_file(self._path, self._clocks.wall_s(), reason, found)
            self.place = FileIdentity(self._path)

    def _make_folder(self) -> None:
        """Create the folder and its lock, which is lost if somebody removes it. Raises `CannotStart`."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._path.with_suffix(".lock")
        if self._lock is not None and not path.exists():
            os.close(self._lock)
            self._lock = None
        if self._lock is None:
            self._lock = lock(path)

    def _begin(self) -> None:
        """Open the file and read its counters."""
        self.db, found = open_or_replace(self._path, self._clocks.wall_s())
        self.place = FileIdentity(self._path)
        stored = counters_of(self.db)
        highest = self.db.execute("SELECT coalesce(max(id), 0) FROM rows").fetchone()[0]
        self.sent_before = self.sent_before or stored.get(SENDING, 0) > 0
        self.counters = {name: stored.get(name, 0) + self._unsaved.get(name, 0) for name in COUNTERS}
        self.next_id = max(self.next_id, highest + 1)
        if found.rows or found.counters:
            self._take_over(found)

    def _take_over(self, found: Salvage) -> None:
        """Keep the rows and counters of the previous file for the next transaction."""
        self.sent_before = self.sent_before or found.counters.pop(SENDING, 0) > 0
        rows = {i: row for i, row in found.rows.items() if i not in self.aside.removed}
        self.aside.rows = {**rows, **self.aside.rows}
        self.aside.removed.clear()
        self.next_id = max(self.next_id, max(self.aside.rows, default=0) + 1)
        self._unsaved = {name: found.counters[name] for name in COUNTERS if name in found.counters}
        self.counters = {name: self._unsaved.get(name, 0) for name in COUNTERS}


_INSERT = f"INSERT INTO rows ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608
_REPLACE = _INSERT.replace("INSERT", "INSERT OR REPLACE", 1)
