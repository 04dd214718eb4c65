"""What is to be delivered, on disk until it is: SQLite with a commit that reaches the platter.

At least once, never sent after the deadline. A row leaves only as delivered, expired (it was never
sent), unknown (it was sent, and nobody said that it arrived), refused (kept as a dead letter to look
at) or dropped (the box was full), and every exit is counted in the same transaction, so that the
counters survive whatever the rows survive.

A row that is not what was written (every row has a checksum) becomes a dead letter, and the others go
on. A file that is damaged, or that somebody removes, replaces or shortens while it is in use, is
begun anew with all rows that can still be read or are remembered.

Not thread-safe: one thread owns it. `list_rows` and `purge` open the file on their own, for the
command line, also while an agent runs.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog

from agent.config.settings import OutboxSettings
from agent.delivery.clocks import Clocks, Deadline
from agent.delivery.outbox.box_file import (
    ADD_UP,
    COUNTERS,
    FILE,
    Place,
    is_damage,
    lock,
    open_or_replace,
    replace_file,
)
from agent.delivery.outbox.row import (
    COLUMNS,
    DB_ERRORS,
    Kind,
    Row,
    RowError,
    dead_letter,
    from_columns,
    to_columns,
)
from agent.delivery.outbox.salvage import Salvage, counters_of, salvage_open
from agent.delivery.outbox.visits import list_rows, purge
from agent.errors import CannotStart

__all__ = ["FILE", "Fill", "Outbox", "Row", "list_rows", "purge"]

log = structlog.get_logger(__name__)

MEND_EVERY_S = 10.0  # while the disk refuses, try it again this often
EXPIRE_AT_ONCE = 5000  # rows in one transaction
LOOK_EVERY_S = 1.0  # whether the file is still there
SCRUB_EVERY_S = 60.0  # whether every row can be read: one that cannot would neither be sent nor expire
REMEMBERED = 1000  # rows that are committed, should the file go away
REMEMBERED_BYTES = 4_000_000
SENDING = "sending"  # stored beside the counters: rows may have been sent since the last clean end

_BY_WALL = "(wall_s <= :wall OR created_wall_s > :wall)"
_EXPIRED = " UNION ALL ".join(  # three ranges of the index, because most rows belong to this boot
    f"SELECT {COLUMNS} FROM rows WHERE dead IS NULL AND {condition}"  # noqa: S608 (from constants)
    for condition in (
        "boot = :boot AND boot_s <= :now",
        f"boot < :boot AND {_BY_WALL}",
        f"boot > :boot AND {_BY_WALL}",
    )
)


@dataclass(frozen=True, slots=True)
class Fill:
    """How full the box is: waiting rows, their bytes, age of the oldest in seconds, dead letters."""

    depth: int = 0
    queue_bytes: int = 0
    oldest_s: float = 0.0
    dead: int = 0


@dataclass
class _Aside:
    """What the disk would not take, kept in memory until it does."""

    rows: dict[int, Row] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)  # rows on disk that must not be sent again
    since: float = 0.0
    tried: float = 0.0


class _Remembered:
    """The newest rows that are on disk, within limits."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self._bytes = 0

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self.rows[row.id] = row
            self._bytes += row.size
        while len(self.rows) > REMEMBERED or (self._bytes > REMEMBERED_BYTES and self.rows):
            self.forget(next(iter(self.rows)))

    def forget(self, row_id: int) -> None:
        row = self.rows.pop(row_id, None)
        if row is not None:
            self._bytes -= row.size


class Outbox:
    """The box of one agent. Open it in the thread that uses it."""

    def __init__(self, folder: Path, settings: OutboxSettings, clocks: Clocks) -> None:
        self._path = folder / FILE
        self._settings = settings
        self._clocks = clocks
        self._db: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._aside = _Aside()
        self._remembered = _Remembered()
        self._place: Place | None = None
        self._looked = self._scrubbed = 0.0
        self._inherited_to = 0  # rows up to this id were here before us
        self._sent_before = False  # and the process before us may have sent them
        self._sending = False
        self._next_id = 1
        self._full = False
        self._most_rows = self._most_bytes = 0  # never less than what is there: spares counting
        self._unsaved: dict[str, int] = {}
        self.counters: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self.trouble: str | None = None

    def open(self) -> None:
        """Raises `CannotStart` when the folder cannot be written to or another agent uses it."""
        try:
            self._make_folder()
            self._begin()
            self._write("recover", lambda _db: None)
            self._inherited_to = self._next_id - 1
            self._scrub()
            self._counted()
        except (OSError, *DB_ERRORS) as exc:
            self.close()
            raise CannotStart(
                f"outbox {self._path}: cannot be written to ({exc}); "
                "free some space, mend the permissions or set agent.state_dir to another folder"
            ) from exc

    def close(self, *, certain: bool = False) -> None:
        """Give back the file; what is in it stays. `certain`: none of it has been sent."""
        if certain and self._sending and not self._sent_before:
            self._write("close", lambda db: db.execute("DELETE FROM counters WHERE name = ?", (SENDING,)))
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def add(self, rows: Sequence[Row]) -> list[Row]:
        """Commit rows and return them with their ids; on a full disk they wait in memory instead."""
        numbered = []
        for row in rows:
            numbered.append(replace(row, id=self._next_id))
            self._next_id += 1
        if not numbered:
            return numbered
        self._count(committed=len(numbered))
        self._most_rows += len(numbered)
        self._most_bytes += sum(row.size for row in numbered)
        if self._write("add rows", lambda db: db.executemany(_INSERT, map(to_columns, numbered))):
            self._remembered.add(numbered)
        else:
            self._aside.rows |= {row.id: row for row in numbered}
        return numbered

    def sending(self) -> None:
        """Rows are about to be sent: whoever finds them after a crash cannot know whether they arrived."""
        if not self._sending:
            change = "INSERT OR REPLACE INTO counters VALUES (?, 1)"
            self._sending = self._write("note that rows are sent", lambda db: db.execute(change, (SENDING,)))

    def next(self, kind: Kind, after: int, limit: int) -> list[Row]:
        """The oldest waiting rows with an id above `after`, expired ones included."""
        query = f"SELECT {COLUMNS} FROM rows WHERE kind = ? AND id > ? AND dead IS NULL ORDER BY id LIMIT ?"  # noqa: S608
        rows = self._read(query, (kind, after, limit + len(self._aside.gone)))
        rows += [row for row in self._aside.rows.values() if row.kind == kind and row.id > after]
        return sorted(rows, key=lambda row: row.id)[:limit]

    def get(self, row_id: int) -> Row | None:
        """One waiting row, None when it has left."""
        if row_id in self._aside.gone:
            return None
        if row_id in self._aside.rows:
            return self._aside.rows[row_id]
        query = f"SELECT {COLUMNS} FROM rows WHERE id = ? AND dead IS NULL"  # noqa: S608
        return next(iter(self._read(query, (row_id,))), None)

    def settle(self, delivered: Sequence[int], unheard: int = 0) -> None:
        """These have arrived, `unheard` of them with nobody to hear."""
        if delivered:
            self._count(delivered=len(delivered), unheard=unheard)
            self._remove(delivered)

    def bury(self, row: Row, reason: str) -> None:
        """Keep a row as a dead letter: never sent again, there to be looked at."""
        self._count(refused=1)
        self._aside.rows.pop(row.id, None)
        self._remembered.forget(row.id)
        dead = row if row.dead is not None else replace(row, dead=reason)
        if not self._write("keep a dead letter", lambda db: db.execute(_REPLACE, to_columns(dead))):
            self._aside.gone.add(row.id)

    def expire(self, spare: Iterable[int] = (), sent: Container[int] = ()) -> list[Row]:
        """Remove and return the rows whose deadline has passed, except those in `spare`.

        Those in `sent`, and those that a process before us may have sent, count as unknown.
        """
        now = {"boot": self._clocks.boot, "now": self._clocks.boot_s(), "wall": self._clocks.wall_s()}
        spared = set(spare) | self._aside.gone
        query = f"{_EXPIRED} LIMIT {EXPIRE_AT_ONCE}"
        late = [row for row in self._read(query, now) if row.id not in spared]
        late += [
            row
            for row in self._aside.rows.values()
            if row.id not in spared and self._clocks.left_s(row.deadline) <= 0
        ]
        if late:
            unknown = sum(row.id in sent or self._may_be_sent(row.id) for row in late)
            self._count(expired=len(late) - unknown, unknown=unknown)
            self._remove([row.id for row in late])
        return late

    def shrink(self) -> int:
        """Drop the oldest rows, dead letters first, until the limits hold; how many were dropped."""
        if self._most_rows <= self._settings.rows and self._most_bytes <= self._settings.queue_bytes:
            return 0
        dropped = 0
        while (over := self._over()) > 0:
            query = "SELECT id FROM rows ORDER BY dead IS NULL, id LIMIT ?"
            ids = [row[0] for row in self._fetch(query, (over,)) if row[0] not in self._aside.gone]
            ids = ids or sorted(self._aside.rows)[:over]
            if not ids:
                break
            self._count(dropped=len(ids))
            self._remove(ids)
            dropped += len(ids)
        if dropped and not self._full:
            log.error(
                "outbox_full", dropped=dropped, rows=self._settings.rows, bytes=self._settings.queue_bytes
            )
        self._full = dropped > 0
        return dropped

    def fill(self) -> Fill:
        """Counted afresh, because the command line may purge at any time."""
        aside = self._aside.rows.values()
        query = (
            "SELECT count(*) FILTER (WHERE dead IS NULL), "
            "coalesce(sum(length(payload) + length(target)) FILTER (WHERE dead IS NULL), 0), "
            "count(*) FILTER (WHERE dead IS NOT NULL) FROM rows"
        )
        depth, size, dead = next(iter(self._fetch(query)), (0, 0, 0))
        oldest = next(iter(self._fetch("SELECT min(id) FROM rows WHERE dead IS NULL")), (None,))[0]
        row = self.get(oldest) if oldest is not None else next(iter(aside), None)
        age = self._age_s(row.deadline) if row is not None else 0.0
        return Fill(depth - len(self._aside.gone) + len(aside), size + sum(r.size for r in aside), age, dead)

    def mend(self) -> None:
        """Notice what has become of the file, and while the disk refuses try again. Call it now and then."""
        now = time.monotonic()
        if self._db is not None and self._place is not None and now - self._looked >= LOOK_EVERY_S:
            self._looked = now
            changed = self._place.changed()
            if changed is not None:
                self._renew(changed)
        if now - self._scrubbed >= SCRUB_EVERY_S:
            self._scrub()
        if self.trouble is None or now - self._aside.tried < MEND_EVERY_S:
            return
        self._aside.tried = now
        if self._db is None:
            with contextlib.suppress(OSError, *DB_ERRORS):
                self._make_folder()
                self._begin()
        self._write("recover", lambda _db: None)

    # Inside.

    def _may_be_sent(self, row_id: int) -> bool:
        return self._sent_before and row_id <= self._inherited_to

    def _scrub(self) -> None:
        """Read every waiting row: what cannot be read becomes a dead letter."""
        self._scrubbed = time.monotonic()
        self._read(f"SELECT {COLUMNS} FROM rows WHERE dead IS NULL", ())  # noqa: S608

    def _over(self) -> int:
        """How many rows have to go at least."""
        count, size = self._counted()
        too_many = max(0, count - self._settings.rows)
        if too_many or size <= self._settings.queue_bytes or count <= 0:
            return int(too_many)
        return max(1, int((size - self._settings.queue_bytes) * count / size / 2))

    def _counted(self) -> tuple[int, int]:
        """Rows and bytes, dead letters included."""
        query = "SELECT count(*), coalesce(sum(length(payload) + length(target)), 0) FROM rows"
        count, size = next(iter(self._fetch(query)), (0, 0))
        count += len(self._aside.rows) - len(self._aside.gone)
        size += sum(row.size for row in self._aside.rows.values())
        self._most_rows, self._most_bytes = count, size
        return count, size

    def _age_s(self, deadline: Deadline) -> float:
        since = deadline.boot_s - (deadline.wall_s - deadline.created_wall_s)
        age = self._clocks.boot_s() - since
        if deadline.boot != self._clocks.boot:
            age = self._clocks.wall_s() - deadline.created_wall_s
        return max(0.0, round(age, 1))

    def _count(self, **more: int) -> None:
        for name, n in more.items():
            self.counters[name] += n
            self._unsaved[name] = self._unsaved.get(name, 0) + n

    def _remove(self, ids: Sequence[int]) -> None:
        on_disk = [i for i in ids if self._aside.rows.pop(i, None) is None]
        for row_id in ids:
            self._remembered.forget(row_id)
        delete = "DELETE FROM rows WHERE id = ?"
        if not self._write("remove rows", lambda db: db.executemany(delete, [(i,) for i in on_disk])):
            self._aside.gone.update(on_disk)

    def _write(self, what: str, change: Any) -> bool:
        """One transaction with the change, the counters and what is still aside; False if it failed."""
        if self._db is None:
            return False
        aside = self._aside
        try:
            with self._db as db:
                db.execute("BEGIN IMMEDIATE")
                change(db)
                db.executemany(_REPLACE, map(to_columns, aside.rows.values()))
                db.executemany("DELETE FROM rows WHERE id = ?", [(i,) for i in aside.gone])
                db.executemany(ADD_UP, list(self._unsaved.items()))
        except DB_ERRORS as exc:
            self._fail(what, exc)
            return False
        self._unsaved.clear()
        if self.trouble is not None:
            log.info("outbox_back", rows=len(aside.rows), after_s=round(time.monotonic() - aside.since, 1))
            self.trouble = None
        self._remembered.add(aside.rows.values())
        aside.rows.clear()
        aside.gone.clear()
        return True

    def _fetch(self, query: str, values: Any = ()) -> list[Any]:
        if self._db is None:
            return []
        try:
            return self._db.execute(query, values).fetchall()
        except DB_ERRORS as exc:
            self._fail("read", exc)
            return []

    def _read(self, query: str, values: Any) -> list[Row]:
        """Rows that can be read and have not gone; what cannot be read becomes a dead letter."""
        rows = []
        for found in self._fetch(query, values):
            if found[0] in self._aside.gone:
                continue
            try:
                rows.append(from_columns(found))
            except RowError as exc:
                log.error("outbox_row_unreadable", id=found[0], reason=str(exc), now="a dead letter")
                self.bury(dead_letter(found, str(exc)), "")
        return rows

    def _fail(self, what: str, exc: Exception) -> None:
        self._in_trouble(f"cannot {what}: {exc}", doing=what, reason=str(exc))
        if is_damage(exc, self._path):
            self._renew(str(exc))

    def _in_trouble(self, trouble: str, **facts: str) -> None:
        if self.trouble is None:
            self._aside.since = self._aside.tried = time.monotonic()
            log.error("outbox_failed", **facts, file=str(self._path), rows_wait_in="memory")
        self.trouble = trouble

    def _renew(self, reason: str) -> None:
        """The file is not ours any more: begin another with all rows that can be read or are remembered.

        They go into it with the next transaction, or with `mend`.
        """
        if self._db is None:
            return
        found = salvage_open(self._db)
        if not found.whole:  # of one that is, somebody may have purged rows that we remember
            found.rows |= self._remembered.rows
        found.counters = {**self.counters, SENDING: int(self._sending)}
        self._db.close()
        self._db = None
        self._in_trouble(reason, doing="go on with the file", reason=reason)
        self._aside.tried = 0.0
        self._take_over(found)
        with contextlib.suppress(OSError, *DB_ERRORS):
            self._make_folder()
            self._db = replace_file(self._path, self._clocks.wall_s(), reason, found)
            self._place = Place(self._path)

    def _make_folder(self) -> None:
        """And the lock, which goes with it when somebody removes it. Raises `CannotStart`."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._path.with_suffix(".lock")
        if self._lock is not None and not path.exists():
            os.close(self._lock)
            self._lock = None
        if self._lock is None:
            self._lock = lock(path)

    def _begin(self) -> None:
        """Open the file and take over its counters."""
        self._db, found = open_or_replace(self._path, self._clocks.wall_s())
        self._place = Place(self._path)
        stored = counters_of(self._db)
        highest = self._db.execute("SELECT coalesce(max(id), 0) FROM rows").fetchone()[0]
        self._sent_before = self._sent_before or stored.get(SENDING, 0) > 0
        self.counters = {name: stored.get(name, 0) + self._unsaved.get(name, 0) for name in COUNTERS}
        self._next_id = max(self._next_id, highest + 1)
        if found.rows or found.counters:
            self._take_over(found)

    def _take_over(self, found: Salvage) -> None:
        """Rows and counters of a file before, for the next transaction."""
        self._sent_before = self._sent_before or found.counters.pop(SENDING, 0) > 0
        rows = {i: row for i, row in found.rows.items() if i not in self._aside.gone}
        self._aside.rows = {**rows, **self._aside.rows}
        self._aside.gone.clear()
        self._next_id = max(self._next_id, max(self._aside.rows, default=0) + 1)
        self._unsaved = {name: found.counters[name] for name in COUNTERS if name in found.counters}
        self.counters = {name: self._unsaved.get(name, 0) for name in COUNTERS}


_INSERT = f"INSERT INTO rows ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608
_REPLACE = _INSERT.replace("INSERT", "INSERT OR REPLACE", 1)
