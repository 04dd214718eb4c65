"""SQLite file of the outbox: opened with durable commits, replaced when it is damaged."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import structlog

from agent.core.timestamps import rfc3339
from agent.delivery.outbox.row import DB_ERRORS, as_text
from agent.delivery.outbox.salvage import Salvage, salvage
from agent.delivery.outbox.upgrade import add_checksums, lacks_checksums
from agent.errors import CannotStart

log = structlog.get_logger(__name__)

FILE = "outbox.db"
COUNTERS = ("committed", "delivered", "expired", "unknown", "refused", "unheard", "dropped")
ADD_UP = "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL, target TEXT NOT NULL, payload BLOB NOT NULL, event_id TEXT NOT NULL,
    retain INTEGER NOT NULL, content_type TEXT NOT NULL, options TEXT NOT NULL,
    boot TEXT NOT NULL, boot_s REAL NOT NULL, wall_s REAL NOT NULL, created_wall_s REAL NOT NULL,
    dead TEXT, crc INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS by_deadline ON rows (boot, boot_s) WHERE dead IS NULL;
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""
_SHAPE = "SELECT name, sql FROM sqlite_master WHERE name IN ('rows', 'by_deadline', 'counters') ORDER BY name"
_NO_DAMAGE = ("full", "disk I/O", "locked", "unable to open", "busy", "out of memory", "interrupted")


def open_or_replace(path: Path, wall_s: float) -> tuple[sqlite3.Connection, Salvage]:
    """Open the database; return it and the rows to restore: a damaged file is moved aside, logged, and read.

    Raises `OSError` or `sqlite3.Error` when that fails.
    """
    try:
        return _open(path), Salvage()
    except DB_ERRORS as exc:
        if not is_damage(exc, path):
            raise
        reason = str(exc)
    found = salvage(path)
    return replace_file(path, wall_s, reason, found), found


def replace_file(path: Path, wall_s: float, reason: str, found: Salvage) -> sqlite3.Connection:
    """Create a new database and move the old file aside. Raises `OSError` or `sqlite3.Error`."""
    moved = _move_aside(path, wall_s)
    log.error(
        "outbox_corrupt",
        reason=reason,
        moved_to=None if moved is None else str(moved),
        saved_rows=len(found.rows),
        lost="nothing" if found.whole else "what could not be read",
        now="a fresh one",
    )
    return _open(path)


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=5.0, isolation_level=None)
    db.text_factory = as_text
    try:
        path.chmod(0o600)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        _check(db)
        if lacks_checksums(db):
            log.info("outbox_upgraded", file=str(path), rows=add_checksums(db, _SCHEMA))
        db.executescript(_SCHEMA)
        _check_shape(db)
        with db:  # a real write, so that a full disk shows now
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT OR IGNORE INTO counters VALUES (?, 0)", [(n,) for n in COUNTERS])
            db.execute(ADD_UP, ("opened", 1))
    except BaseException:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection) -> None:
    verdict = db.execute("PRAGMA integrity_check(1)").fetchone()[0]  # the indexes against the rows too
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"database disk image is malformed: {verdict}")


def _check_shape(db: sqlite3.Connection) -> None:
    if _shape(db) != _right_shape():
        raise sqlite3.DatabaseError("its tables are not as they were made")


def _shape(db: sqlite3.Connection) -> list[tuple[object, ...]]:
    return list(db.execute(_SHAPE))


def _right_shape() -> list[tuple[object, ...]]:
    with sqlite3.connect(":memory:") as db:
        db.executescript(_SCHEMA)
        shape = _shape(db)
    db.close()
    return shape


def is_damage(exc: Exception, path: Path) -> bool:
    """Return True for a damaged or foreign file; False for a full disk and other I/O errors."""
    text = str(exc)
    if "readonly" in text:  # SQLite says this of a damaged header too
        return os.access(path, os.W_OK) and not os.statvfs(path).f_flag & os.ST_RDONLY
    return not any(word in text for word in _NO_DAMAGE)


def _move_aside(path: Path, wall_s: float) -> Path | None:
    """Rename the database and its side files with a timestamp. None when there is no file."""
    stamp = rfc3339(wall_s).replace(":", "").replace("-", "")
    moved = path.with_name(f"{path.name}.corrupt-{stamp}")
    there = False
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(moved.with_name(moved.name + suffix))
            there = True
    return moved if there else None


@dataclass
class FileIdentity:
    """Identity of the open file, to notice when it is removed, replaced or truncated."""

    path: Path

    def __post_init__(self) -> None:
        self._ids = tuple(_id(part) for part in self._parts())
        self._size = 0
        self.changed()

    def changed(self) -> str | None:
        """Return what has happened to the file, None if nothing. Cheap."""
        main, wal = (_id(part) for part in self._parts())
        if main is None:
            return "the file was removed" if _gone(self.path) else "its folder may not be entered"
        if main != self._ids[0]:
            return "the file was replaced"
        if wal != self._ids[1]:
            return "its journal was removed or replaced"
        try:
            size = self.path.stat().st_size
        except OSError:
            return None  # checked again next time
        if size < self._size:
            return "the file was truncated"
        self._size = size
        return None

    def _parts(self) -> tuple[Path, Path]:
        return self.path, self.path.with_name(f"{self.path.name}-wal")


def _id(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _gone(path: Path) -> bool:
    try:
        path.stat()
    except PermissionError:
        return False
    except OSError:
        pass
    return True


def lock(path: Path) -> int:
    """Hold the lock file until the process ends. Raises `CannotStart` when another agent holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(handle, 20).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        raise CannotStart(
            f"outbox {path.parent}: another agent (process {owner}) uses this folder; "
            "stop it or give this one its own agent.state_dir"
        ) from None
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
    except OSError:
        os.close(handle)
        raise
    return handle
