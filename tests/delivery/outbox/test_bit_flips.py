"""One bit of the file flips: the others are sent, nothing is stuck, nothing is sent that was not written."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import structlog
from hands import Hands

from agent.config.settings import OutboxSettings
from agent.delivery.outbox.outbox import FILE, Outbox, Row, list_rows

FLIPS = int(os.environ.get("BIT_FLIPS", "40"))  # of each seed; more for a longer search
ROWS = 12


def full_box(folder: Path) -> bytes:
    """The file of a box in which rows of every kind wait."""
    clocks = Hands()
    box = Outbox(folder, OutboxSettings(), clocks)
    box.open()
    rows = box.add([_row(clocks, number) for number in range(ROWS)])
    box.dead_letter(rows[-1], "not allowed")
    box.close()
    return (folder / FILE).read_bytes()


def _row(clocks: Hands, number: int) -> Row:
    return Row(
        "webhook" if number % 4 == 0 else "publish",
        f"home/lamp/{number}",
        f"grüße {number}".encode(),
        clocks.deadline(5.0 + number),
        f"id-{number}",
        options=(("X-Token", "t"),),
    )


def drained(folder: Path) -> tuple[list[Row], Outbox]:
    """All that a drain would have sent by the time that the last deadline has passed."""
    clocks, sent = Hands(), []
    box = Outbox(folder, OutboxSettings(), clocks)
    box.open()
    for kind in ("publish", "webhook"):
        after = 0
        while rows := box.next(kind, after, 5):
            after = rows[-1].id
            if kind == "publish":
                sent += rows
                box.mark_delivered([row.id for row in rows])
    clocks.both(100)
    for _ in range(3):
        box.expire()
        box.retry_storage()
        box.enforce_limits()
    return sent, box


@pytest.mark.parametrize("seed", range(4))
def test_whatever_bit_flips_nothing_is_stuck_and_nothing_false_is_sent(tmp_path: Path, seed: int):
    whole, dice = full_box(tmp_path / "whole"), random.Random(seed)  # noqa: S311 (no secret)
    right = {f"home/lamp/{number}": f"grüße {number}".encode() for number in range(ROWS)}
    for number in range(FLIPS):
        at, bit = dice.randrange(len(whole)), dice.randrange(8)
        harmed = bytearray(whole)
        harmed[at] ^= 1 << bit
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / FILE).write_bytes(harmed)
        with structlog.testing.capture_logs():
            sent, box = drained(folder)
        where = f"bit {bit} of byte {at} (seed {seed})"
        fill = box.stats()
        assert fill.depth == 0, f"{where}: stuck"
        assert box.trouble is None, f"{where}: {box.trouble}"
        assert all(right[row.target] == row.payload for row in sent), f"{where}: sent what was not written"
        assert len({row.target for row in sent}) == len(sent), f"{where}: sent twice"
        box.add([_row(Hands(), 1)])
        assert box.stats().depth == 1, f"{where}: takes nothing more"
        box.close()
        list_rows(folder)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("target", "CAST(x'ff66' AS TEXT)"),
        ("kind", "'publisi'"),
        ("payload", "5"),
        ("boot_s", "1e300"),
        ("options", "'[1]'"),
        ("event_id", "NULL + 1"),
    ],
)
def test_a_row_that_cannot_be_read_is_a_dead_letter_and_those_behind_it_go_on(tmp_path, column, value):
    clocks = Hands()
    box = Outbox(tmp_path, OutboxSettings(), clocks)
    box.open()
    rows = box.add([_row(clocks, number) for number in (1, 2, 3)])
    with closing(sqlite3.connect(tmp_path / FILE)) as db, db:
        if column == "event_id":
            value = "x'00'"
        db.execute(f"UPDATE rows SET {column} = {value} WHERE id = ?", (rows[0].id,))  # noqa: S608
    with structlog.testing.capture_logs() as logs:
        box._store.scrubbed = -1000.0
        box.retry_storage()
        sent = box.next("publish", 0, 10)
    assert [row.target for row in sent] == ["home/lamp/2", "home/lamp/3"]
    assert [entry["id"] for entry in logs if entry["event"] == "outbox_row_unreadable"] == [rows[0].id]
    assert (box.stats().dead, box.counters["refused"]) == (1, 1)
    assert (list_rows(tmp_path)[0].dead or "").startswith("cannot be read: ")
    box.close()
