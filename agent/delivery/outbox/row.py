"""One delivery, as the loop hands it over and as the database keeps it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agent.core.rules.words import public_target
from agent.delivery.clocks import Deadline

COLUMNS = (
    "id, kind, target, payload, event_id, retain, content_type, options, "
    "boot, boot_s, wall_s, created_wall_s, dead"
)

Kind = Literal["publish", "webhook"]


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
        """The target as logs may show it: of a webhook its server alone."""
        return public_target(self.kind, self.target)

    @property
    def size(self) -> int:
        """Bytes that count against the limit."""
        return len(self.payload) + len(self.target)


def to_columns(row: Row) -> tuple[Any, ...]:
    """In the order of `COLUMNS`."""
    d = row.deadline
    return (
        row.id, row.kind, row.target, row.payload, row.event_id, row.retain, row.content_type,
        json.dumps(row.options), d.boot, d.boot_s, d.wall_s, d.created_wall_s, row.dead,
    )  # fmt: skip


def from_columns(values: Sequence[Any]) -> Row:
    """From values in the order of `COLUMNS`."""
    row_id, kind, target, payload, event_id, retain, content_type, options, *deadline, dead = values
    pairs = tuple((str(k), str(v)) for k, v in json.loads(options))
    return Row(
        kind,
        target,
        bytes(payload),
        Deadline(*deadline),
        event_id,
        bool(retain),
        content_type,
        pairs,
        row_id,
        dead,
    )
