"""The file of the outbox: opened so that a commit reaches the platter, replaced when it is damaged."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import structlog

from agent.delivery.clocks import rfc3339
from agent.errors import CannotStart

log = structlog.get_logger(__name__)

FILE = "outbox.db"
COUNTERS = ("committed", "delivered", "expired", "refused", "unheard", "dropped")
ADD_UP = "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL, target TEXT NOT NULL, payload BLOB NOT NULL, event_id TEXT NOT NULL,
    retain INTEGER NOT NULL, content_type TEXT NOT NULL, options TEXT NOT NULL,
    boot TEXT NOT NULL, boot_s REAL NOT NULL, wall_s REAL NOT NULL, created_wall_s REAL NOT NULL,
    dead TEXT
);
CREATE INDEX IF NOT EXISTS by_deadline ON rows (boot, boot_s) WHERE dead IS NULL;
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


def open_or_replace(path: Path, wall_s: float, *, damaged: bool = False) -> sqlite3.Connection:
    """The database; a damaged one is moved aside, reported, and a fresh one begun.

    Raises `OSError` or `sqlite3.Error` where there is nothing to be done.
    """
    if not damaged:
        try:
            return _open(path)
        except sqlite3.DatabaseError as exc:
            if not is_damage(exc):
                raise
    moved = _move_aside(path, wall_s)
    log.error("outbox_corrupt", moved_to=str(moved), lost="what was in it", now="a fresh one")
    return _open(path)


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=5.0, isolation_level=None)
    try:
        path.chmod(0o600)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        _check(db)
        db.executescript(_SCHEMA)
        with db:  # a real write, so that a full disk shows now
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT OR IGNORE INTO counters VALUES (?, 0)", [(n,) for n in COUNTERS])
            db.execute(ADD_UP, ("opened", 1))
    except BaseException:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection) -> None:
    verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"database disk image is malformed: {verdict}")


def is_damage(exc: sqlite3.Error) -> bool:
    """True for a file that no longer is our database; false for a full disk and the like."""
    text = str(exc)
    return (
        "malformed" in text or "not a database" in text or "no such table" in text or "no such column" in text
    )


def _move_aside(path: Path, wall_s: float) -> Path:
    """Rename the database and its side files; the name says when."""
    stamp = rfc3339(wall_s).replace(":", "").replace("-", "")
    moved = path.with_name(f"{path.name}.corrupt-{stamp}")
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(moved.with_name(moved.name + suffix))
    return moved


def lock(path: Path) -> int:
    """Hold the lock file as long as we live. Raises `CannotStart` when another agent holds it."""
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


@contextlib.contextmanager
def visit(folder: Path) -> Iterator[sqlite3.Connection | None]:
    """The database if there is one, beside an agent that may be using it."""
    path = folder / FILE
    if not path.exists():
        yield None
        return
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=5.0, isolation_level=None)) as db:
            yield db
    except sqlite3.Error as exc:
        raise CannotStart(f"outbox {path}: cannot be read ({exc})") from exc
