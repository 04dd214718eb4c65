"""Persistent outbox: SQLite rows with durable commits, kept until delivered, refused or expired.

At least once, never sent after the deadline. A row leaves only as delivered, expired (never
sent), unknown (sent without an acknowledgement), refused (kept as a dead letter) or dropped (the
outbox was full), and every exit is counted in the same transaction, so that the counters are as
durable as the rows.

A row with a wrong checksum becomes a dead letter, and the others are still processed. A file that is
damaged, removed, replaced or truncated while in use is replaced by a new one with all rows that can
still be read or are remembered.

Not thread-safe: one thread owns it. `list_rows` and `purge` open the file on their own, for the
command line, also while an agent runs.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from agent.config.settings import OutboxSettings
from agent.delivery.clocks import Clocks, Deadline
from agent.delivery.outbox.admin import list_rows, purge
from agent.delivery.outbox.database import FILE
from agent.delivery.outbox.row import COLUMNS, DB_ERRORS, Kind, Row
from agent.delivery.outbox.store import SENDING, Store
from agent.errors import CannotStart

__all__ = ["FILE", "Outbox", "OutboxStats", "Row", "list_rows", "purge"]

log = structlog.get_logger(__name__)

EXPIRE_AT_ONCE = 5000  # rows in one transaction

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
class OutboxStats:
    """Fill level of the outbox: waiting rows, their bytes, age of the oldest in seconds, dead letters."""

    depth: int = 0
    queue_bytes: int = 0
    oldest_s: float = 0.0
    dead: int = 0


class Outbox:
    """Outbox of one agent. Open it in the thread that uses it."""

    def __init__(self, folder: Path, settings: OutboxSettings, clocks: Clocks) -> None:
        self._path = folder / FILE
        self._settings = settings
        self._clocks = clocks
        self._store = Store(self._path, clocks)
        self._inherited_to = 0  # rows up to this id were written by an earlier process
        self._full = False
        self._most_rows = self._most_bytes = 0  # upper bound of the number of rows: saves counting

    @property
    def counters(self) -> dict[str, int]:
        """Number of rows by outcome, since the file was created."""
        return self._store.counters

    @property
    def trouble(self) -> str | None:
        """Why rows wait in memory instead of on disk, None in normal operation."""
        return self._store.trouble

    def open(self) -> None:
        """Open the file. Raises `CannotStart` when the folder is not writable or another agent uses it."""
        try:
            self._store.open()
            self._inherited_to = self._store.next_id - 1
            self._store.scrub()
            self._counted()
        except (OSError, *DB_ERRORS) as exc:
            self.close()
            raise CannotStart(
                f"outbox {self._path}: cannot be written to ({exc}); "
                "free some space, fix the permissions or set agent.state_dir to another folder"
            ) from exc

    def close(self, *, certain: bool = False) -> None:
        """Close the file; rows stay in it. `certain`: none of them has been sent."""
        if certain and self._store.sending and not self._store.sent_before:
            self._store.note(SENDING, on=False)
        self._store.close()

    def add(self, rows: Sequence[Row]) -> list[Row]:
        """Commit rows and return them with their ids; on a full disk they wait in memory instead."""
        numbered = []
        for row in rows:
            numbered.append(replace(row, id=self._store.next_id))
            self._store.next_id += 1
        if not numbered:
            return numbered
        self._store.count(committed=len(numbered))
        self._most_rows += len(numbered)
        self._most_bytes += sum(row.size for row in numbered)
        self._store.add(numbered)
        return numbered

    def sending(self) -> None:
        """Note on disk that rows may have been sent: after a crash nobody knows whether they arrived."""
        if not self._store.sending:
            self._store.sending = self._store.note(SENDING, on=True)

    def next(self, kind: Kind, after: int, limit: int) -> list[Row]:
        """Return the oldest waiting rows with an id above `after`, expired ones included."""
        query = f"SELECT {COLUMNS} FROM rows WHERE kind = ? AND id > ? AND dead IS NULL ORDER BY id LIMIT ?"  # noqa: S608
        rows = self._store.read(query, (kind, after, limit + len(self._store.aside.removed)))
        rows += [row for row in self._store.aside.rows.values() if row.kind == kind and row.id > after]
        return sorted(rows, key=lambda row: row.id)[:limit]

    def get(self, row_id: int) -> Row | None:
        """Return one waiting row, None when it has left."""
        if row_id in self._store.aside.removed:
            return None
        if row_id in self._store.aside.rows:
            return self._store.aside.rows[row_id]
        query = f"SELECT {COLUMNS} FROM rows WHERE id = ? AND dead IS NULL"  # noqa: S608
        return next(iter(self._store.read(query, (row_id,))), None)

    def mark_delivered(self, delivered: Sequence[int], no_subscriber: int = 0) -> None:
        """Remove delivered rows and count them, `no_subscriber` of them as published to nobody."""
        if delivered:
            self._store.count(delivered=len(delivered), unheard=no_subscriber)
            self._store.remove(delivered)

    def dead_letter(self, row: Row, reason: str) -> None:
        """Keep a row as a dead letter: never sent again, listed by `outbox list`."""
        self._store.dead_letter(row, reason)

    def retry_storage(self) -> None:
        """Check the file for damage and retry a disk that refused writes. Call it regularly."""
        self._store.retry_storage()

    def expire(self, spare: Iterable[int] = (), sent: Container[int] = ()) -> list[Row]:
        """Remove and return the rows whose deadline has passed, except those in `spare`.

        Those in `sent`, and those that an earlier process may have sent, count as unknown.
        """
        now = {"boot": self._clocks.boot, "now": self._clocks.boot_s(), "wall": self._clocks.wall_s()}
        spared = set(spare) | self._store.aside.removed
        query = f"{_EXPIRED} LIMIT {EXPIRE_AT_ONCE}"
        late = [row for row in self._store.read(query, now) if row.id not in spared]
        late += [
            row
            for row in self._store.aside.rows.values()
            if row.id not in spared and self._clocks.left_s(row.deadline) <= 0
        ]
        if late:
            unknown = sum(row.id in sent or self._may_be_sent(row.id) for row in late)
            self._store.count(expired=len(late) - unknown, unknown=unknown)
            self._store.remove([row.id for row in late])
        return late

    def enforce_limits(self) -> int:
        """Drop the oldest rows, dead letters first, until the limits hold; return how many were dropped."""
        if self._most_rows <= self._settings.rows and self._most_bytes <= self._settings.queue_bytes:
            return 0
        dropped = 0
        while (over := self._over()) > 0:
            query = "SELECT id FROM rows ORDER BY dead IS NULL, id LIMIT ?"
            ids = [
                row[0] for row in self._store.fetch(query, (over,)) if row[0] not in self._store.aside.removed
            ]
            ids = ids or sorted(self._store.aside.rows)[:over]
            if not ids:
                break
            self._store.count(dropped=len(ids))
            self._store.remove(ids)
            dropped += len(ids)
        if dropped and not self._full:
            log.error(
                "outbox_full", dropped=dropped, rows=self._settings.rows, bytes=self._settings.queue_bytes
            )
        self._full = dropped > 0
        return dropped

    def stats(self) -> OutboxStats:
        """Count rows, bytes and dead letters anew, because the command line may purge at any time."""
        overflow = self._store.aside.rows.values()
        query = (
            "SELECT count(*) FILTER (WHERE dead IS NULL), "
            "coalesce(sum(length(payload) + length(target)) FILTER (WHERE dead IS NULL), 0), "
            "count(*) FILTER (WHERE dead IS NOT NULL) FROM rows"
        )
        depth, size, dead = next(iter(self._store.fetch(query)), (0, 0, 0))
        oldest = next(iter(self._store.fetch("SELECT min(id) FROM rows WHERE dead IS NULL")), (None,))[0]
        row = self.get(oldest) if oldest is not None else next(iter(overflow), None)
        age = self._age_s(row.deadline) if row is not None else 0.0
        return OutboxStats(
            depth - len(self._store.aside.removed) + len(overflow),
            size + sum(r.size for r in overflow),
            age,
            dead,
        )

    def _may_be_sent(self, row_id: int) -> bool:
        return self._store.sent_before and row_id <= self._inherited_to

    def _over(self) -> int:
        """Number of rows that exceed the limits."""
        count, size = self._counted()
        too_many = max(0, count - self._settings.rows)
        if too_many or size <= self._settings.queue_bytes or count <= 0:
            return int(too_many)
        return max(1, int((size - self._settings.queue_bytes) * count / size / 2))

    def _counted(self) -> tuple[int, int]:
        """Number of rows and their bytes, dead letters included."""
        query = "SELECT count(*), coalesce(sum(length(payload) + length(target)), 0) FROM rows"
        count, size = next(iter(self._store.fetch(query)), (0, 0))
        count += len(self._store.aside.rows) - len(self._store.aside.removed)
        size += sum(row.size for row in self._store.aside.rows.values())
        self._most_rows, self._most_bytes = count, size
        return count, size

    def _age_s(self, deadline: Deadline) -> float:
        since = deadline.boot_s - (deadline.wall_s - deadline.created_wall_s)
        age = self._clocks.boot_s() - since
        if deadline.boot != self._clocks.boot:
            age = self._clocks.wall_s() - deadline.created_wall_s
        return max(0.0, round(age, 1))
