"""What became of every single row: a trigger in the outbox's database noted it, a subscriber heard it.

The trigger works in the same transaction as the row itself comes or goes. Every committed row was
heard, or left at its deadline: what is neither is lost. What was heard past its deadline was in flight
when the broker froze, and is counted as unknown: what was counted as expired is never heard.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from brokers import Heard

from agent.config.settings import OutboxSettings
from agent.delivery.clocks import Clocks
from agent.delivery.outbox.outbox import FILE, Outbox

CLOCK_S = 0.005  # SQLite's clock counts whole milliseconds, and the deadline itself is kept by another one
LATE_S = 0.15  # beyond the deadline: a row is sent until 0.2 s before it, and the machine is busy
_NOTES = """
CREATE TABLE audit (event_id TEXT, target TEXT, deadline REAL, gone REAL, PRIMARY KEY (event_id, target));
CREATE TRIGGER came AFTER INSERT ON rows BEGIN
    INSERT OR IGNORE INTO audit VALUES (new.event_id, new.target, new.wall_s, NULL);
END;
CREATE TRIGGER went AFTER DELETE ON rows BEGIN
    UPDATE audit SET gone = (julianday('now') - 2440587.5) * 86400
    WHERE event_id = old.event_id AND target = old.target;
END;
"""


def take_notes(state: Path) -> None:
    """Make the outbox that an agent with this state folder will find, with the trigger in it."""
    box = Outbox(state, OutboxSettings(), Clocks())
    box.open()
    box.close()
    with contextlib.closing(sqlite3.connect(state / FILE)) as db:
        db.executescript(_NOTES)


@dataclass(frozen=True)
class Reckoning:
    """What became of the rows."""

    committed: int
    delivered: int  # rows that were heard
    duplicates: int  # heard more than once, by event id
    expired: int  # rows that left at their deadline, unheard
    counted_expired: int  # what the outbox says of it
    counted_unknown: int  # were in flight when the connection or the agent ended, and expired
    uncounted: int  # committed, and counted as nothing
    waiting: int
    late: int  # heard more than LATE_S after the deadline
    latest_s: float  # how much after its deadline the latest one was heard; negative: before
    lost: int
    topics: Counter[str]  # committed rows by their topic

    @property
    def kept_the_promise(self) -> bool:
        """Nothing lost or left over, late only what is unknown, and every row was counted once."""
        return self.committed > 0 and not (
            self.lost
            or self.waiting
            or self.uncounted
            or self.late > self.counted_unknown
            or self.expired > self.counted_expired + self.counted_unknown
        )


def reckon(state: Path, heard: Iterable[Heard]) -> Reckoning:
    """From the trigger's notes and from what was heard."""
    with contextlib.closing(sqlite3.connect(state / FILE)) as db:
        rows = db.execute("SELECT event_id, target, deadline, gone FROM audit").fetchall()
        counters = dict(db.execute("SELECT name, value FROM counters").fetchall())
        waiting = db.execute("SELECT count(*) FROM rows").fetchone()[0]
    of_rows = [(event_id, message) for message in heard if (event_id := _event_id(message))]
    times = Counter((event_id, message.topic) for event_id, message in of_rows)
    deadlines = {(row[0], row[1]): row[2] for row in rows}
    over_s = [message.at - deadlines[event_id, message.topic] for event_id, message in of_rows]
    unheard = [row for row in rows if (row[0], row[1]) not in times]
    lost = [row for row in unheard if row[3] is not None and row[3] < row[2] - CLOCK_S]
    return Reckoning(
        committed=len(rows),
        delivered=len(rows) - len(unheard),
        duplicates=sum(times.values()) - len(times),
        expired=len(unheard) - len(lost) - waiting,
        counted_expired=counters["expired"],
        counted_unknown=counters["unknown"],
        uncounted=counters["committed"]
        - sum(counters[end] for end in ("delivered", "expired", "unknown", "refused", "dropped"))
        - waiting,
        waiting=waiting,
        late=sum(over > LATE_S for over in over_s),
        latest_s=round(max(over_s, default=float("-inf")), 2),
        lost=len(lost),
        topics=Counter(row[1] for row in rows),
    )


def _event_id(message: Heard) -> str:
    """Of what went through the outbox; empty for states."""
    properties = dict(message.properties.get("UserProperty", []))  # type: ignore[call-overload]
    return str(properties.get("event_id", ""))
