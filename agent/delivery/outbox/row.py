"""One delivery as a row: added by the loop, stored in the database."""

from __future__ import annotations

import json
import math
import sqlite3
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agent.core.numbers import read_json
from agent.core.rules.formatting import public_target
from agent.delivery.clocks import Deadline

CONTENT = (
    "id, kind, target, payload, event_id, retain, content_type, options, "
    "boot, boot_s, wall_s, created_wall_s, dead"
)
COLUMNS = f"{CONTENT}, crc"

# Exceptions of sqlite3; its messages quote the file, which may not be text.
DB_ERRORS = (sqlite3.Error, UnicodeDecodeError)

Kind = Literal["publish", "webhook"]

_TYPES = (int, str, str, bytes, str, int, str, str, str, float, float, float)  # of CONTENT, without `dead`


class RowError(ValueError):
    """Raised for a database row that differs from what was written: corrupted or modified."""


@dataclass(frozen=True, slots=True)
class Row:
    """One delivery. `id` is 0 until it is added; `dead` says why it will not be tried again."""

    kind: Kind
    target: str
    payload: bytes
    deadline: Deadline
    event_id: str
    retain: bool = False
    content_type: str = ""
    options: tuple[tuple[str, str], ...] = ()
    id: int = 0
    dead: str | None = None

    @property
    def shown(self) -> str:
        """Target for logs; of a webhook the server only."""
        return public_target(self.kind, self.target)

    @property
    def size(self) -> int:
        """Bytes that count against the limit: payload and target."""
        return len(self.payload) + len(self.target)


def to_columns(row: Row) -> tuple[Any, ...]:
    """Return the values in the order of `COLUMNS`, checksum included."""
    d = row.deadline
    content = (
        row.id, row.kind, row.target, row.payload, row.event_id, int(row.retain), row.content_type,
        json.dumps(row.options), d.boot, float(d.boot_s), float(d.wall_s), float(d.created_wall_s), row.dead,
    )  # fmt: skip
    return (*content, _crc(content))


def from_columns(values: Sequence[Any]) -> Row:
    """Build a row from values in the order of `COLUMNS`. Raises `RowError` for other types or checksum."""
    *content, crc = values
    for name, value, kind in zip(CONTENT.split(", "), content, _TYPES, strict=False):
        if type(value) is not kind:
            raise RowError(f"{name} is {type(value).__name__}, written as {kind.__name__}")
        if isinstance(value, float) and not math.isfinite(value):
            raise RowError(f"{name} is {value}, which is no time")
    if _crc(content) != crc:
        raise RowError("it is not what was written: its checksum differs")
    return _row(content)


def from_content(values: Sequence[Any]) -> Row:
    """Build a row from values in the order of `CONTENT` (files of version 1). Raises `RowError`."""
    return from_columns((*values, _crc(values)))


def dead_letter(values: Sequence[Any], reason: str) -> Row:
    """Build a dead letter from an unreadable row; it is never sent."""
    row_id, kind, target, payload, event_id, *_ = values
    return Row(
        "webhook" if kind == "webhook" else "publish",
        _text(target),
        payload if isinstance(payload, bytes) else _text(payload).encode(),
        Deadline("", 0.0, 0.0, 0.0),
        _text(event_id),
        id=row_id,
        dead=f"cannot be read: {reason}",
    )


def as_text(value: bytes) -> str | bytes:
    """Decode text for SQLite's `text_factory`; invalid UTF-8 stays bytes, which `from_columns` refuses."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _row(content: Sequence[Any]) -> Row:
    row_id, kind, target, payload, event_id, retain, content_type, options, *deadline, dead = content
    try:
        pairs = tuple((str(k), str(v)) for k, v in read_json(options))
    except (TypeError, ValueError) as exc:
        raise RowError(f"options cannot be read ({exc})") from exc
    return Row(
        kind,
        target,
        payload,
        Deadline(*deadline),
        event_id,
        bool(retain),
        content_type,
        pairs,
        row_id,
        dead,
    )


def _crc(content: Sequence[Any]) -> int:
    """Checksum over all written values, so that any flipped bit is detected."""
    return zlib.crc32(repr(tuple(content)).encode(errors="backslashreplace"))
