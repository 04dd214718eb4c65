from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from hands import Hands
from support.small_disk import mount_small_disk

from agent.config.settings import OutboxSettings
from agent.delivery.clocks import Clocks
from agent.delivery.outbox.outbox import FILE, Outbox, Row, list_rows, purge
from agent.errors import CannotStart


@pytest.fixture
def clocks() -> Hands:
    return Hands()


@pytest.fixture
def opened(tmp_path: Path, clocks: Hands) -> Iterator[Callable[..., Outbox]]:
    boxes: list[Outbox] = []

    def make(**limits: int) -> Outbox:
        for box in boxes:
            box.close()
        boxes.append(Outbox(tmp_path, OutboxSettings(**limits), clocks))
        boxes[-1].open()
        return boxes[-1]

    yield make
    for box in boxes:
        box.close()


def row(clocks: Clocks, text: str = "x", *, left_s: float = 5.0, kind: str = "publish") -> Row:
    return Row(kind, "a/b", text.encode(), clocks.deadline(left_s), f"id-{text}")  # type: ignore[arg-type]


def texts(rows: list[Row]) -> list[str]:
    return [r.payload.decode() for r in rows]


def test_rows_come_back_in_order_after_a_restart(opened, clocks):
    opened().add([row(clocks, t) for t in "abc"])
    box = opened()
    assert texts(box.next("publish", 0, 2)) == ["a", "b"]
    again = box.next("publish", 0, 10)
    assert again[0] == Row("publish", "a/b", b"a", again[0].deadline, "id-a", id=again[0].id)
    box.mark_delivered([again[0].id])
    assert texts(opened().next("publish", 0, 10)) == ["b", "c"]


def test_counters_survive_with_the_rows(opened, clocks):
    box = opened()
    a, b, _ = box.add([row(clocks, t) for t in "abc"])
    box.mark_delivered([a.id], no_subscriber=1)
    box.dead_letter(b, "not allowed")
    clocks.both(6)
    box.expire()
    assert opened().counters == {
        "committed": 3, "delivered": 1, "unheard": 1, "refused": 1, "expired": 1, "unknown": 0, "dropped": 0,
    }  # fmt: skip


def test_ids_are_not_used_again_while_a_row_with_a_higher_one_waits(opened, clocks):
    (first,) = opened().add([row(clocks)])
    (second,) = opened().add([row(clocks)])
    assert second.id > first.id


def test_expired_rows_leave_and_are_counted_but_not_those_in_flight(opened, clocks):
    box = opened()
    a, b = box.add([row(clocks, "a", left_s=1), row(clocks, "b", left_s=1)])
    clocks.both(1)
    assert texts(box.expire(spare=[b.id])) == ["a"]
    assert a.id not in {r.id for r in box.next("publish", 0, 10)}
    assert box.counters["expired"] == 1


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
def test_a_wall_clock_that_jumps_an_hour_neither_delays_nor_drops(opened, clocks, jump_s):
    box = opened()
    box.add([row(clocks, "soon", left_s=2), row(clocks, "later", left_s=60)])
    clocks.wall_now += jump_s
    assert box.expire() == []
    clocks.both(2)
    assert texts(box.expire()) == ["soon"]
    assert texts(box.next("publish", 0, 10)) == ["later"]


def test_after_a_reboot_the_wall_clock_decides(opened, clocks):
    opened().add([row(clocks, "soon", left_s=2), row(clocks, "later", left_s=60)])
    clocks.boot, clocks.boot_now = "second", 3.0
    clocks.wall_now += 10
    box = opened()
    assert texts(box.expire()) == ["soon"]
    assert texts(box.next("publish", 0, 10)) == ["later"]


def test_after_a_reboot_into_the_past_nobody_knows_the_age_so_it_is_too_late(opened, clocks):
    opened().add([row(clocks, "old", left_s=60)])
    clocks.boot, clocks.boot_now = "second", 3.0
    clocks.wall_now -= 500_000
    assert texts(opened().expire()) == ["old"]


def test_beyond_the_limit_of_rows_the_oldest_go_dead_letters_first(opened, clocks):
    box = opened(rows=10)
    rows = box.add([row(clocks, f"{n}") for n in range(10)])
    box.dead_letter(rows[7], "refused")
    box.add([row(clocks, "10"), row(clocks, "11")])
    assert box.enforce_limits() == 2
    assert texts(box.next("publish", 0, 20)) == ["1", "2", "3", "4", "5", "6", "8", "9", "10", "11"]
    assert box.counters["dropped"] == 2


def test_beyond_the_limit_of_bytes_the_oldest_go(opened, clocks):
    box = opened(queue_bytes=10_000)
    box.add([row(clocks, f"{n}" * 997) for n in range(1, 10)])
    assert box.enforce_limits() == 0
    box.add([row(clocks, "X" * 4000)])
    box.enforce_limits()
    fill = box.stats()
    assert fill.queue_bytes <= 10_000
    assert texts(box.next("publish", 0, 20))[-1][0] == "X"


def test_a_full_box_is_said_once(opened, clocks):
    box = opened(rows=10)
    with structlog.testing.capture_logs() as logs:
        for n in range(15):
            box.add([row(clocks, f"{n}")])
            box.enforce_limits()
    assert [entry["event"] for entry in logs] == ["outbox_full"]


def test_fill_tells_depth_age_and_dead_letters(opened, clocks):
    box = opened()
    a, _ = box.add([row(clocks, "a"), row(clocks, "bb")])
    clocks.both(3)
    box.add([row(clocks, "c", kind="webhook")])
    fill = box.stats()
    assert (fill.depth, fill.oldest_s, fill.dead, fill.queue_bytes) == (3, 3.0, 0, 4 + 9)
    box.dead_letter(a, "refused")
    assert (box.stats().depth, box.stats().dead) == (2, 1)


def test_what_waits_can_be_listed_and_purged_while_an_agent_runs(opened, clocks, tmp_path):
    assert list_rows(tmp_path) == []
    assert purge(tmp_path) == 0
    box = opened()
    a, *_ = box.add([row(clocks, t) for t in "abc"])
    box.dead_letter(a, "not allowed")
    assert [(r.payload, r.dead) for r in list_rows(tmp_path)] == [
        (b"a", "not allowed"),
        (b"b", None),
        (b"c", None),
    ]
    assert purge(tmp_path, dead_only=True) == 1
    assert purge(tmp_path) == 2
    assert box.stats().depth == 0


@pytest.mark.parametrize("damage", ["text", "header", "middle", "zeros"])
def test_a_corrupt_file_is_moved_aside_and_a_fresh_one_begun(opened, clocks, tmp_path, damage):
    opened().add([row(clocks, "x" * 3000) for _ in range(50)])
    opened().close()
    file = tmp_path / FILE
    content = bytearray(file.read_bytes())
    if damage == "text":
        content = bytearray(b"this is no database " * 500)
    elif damage == "header":
        content[:100] = os.urandom(100)
    elif damage == "middle":
        content[4096:] = os.urandom(len(content) - 4096)
    else:
        content[:] = bytes(len(content))
    file.write_bytes(content)
    with structlog.testing.capture_logs() as logs:
        box = opened()
    assert [entry["event"] for entry in logs] == ["outbox_corrupt"]
    aside = [p for p in tmp_path.iterdir() if ".corrupt-" in p.name and not p.name.endswith(("-wal", "-shm"))]
    assert len(aside) == 1
    assert aside[0].read_bytes() == content
    box.add([row(clocks, "new")])
    assert texts(opened().next("publish", 0, 10)) == ["new"]


def test_damage_while_running_costs_nothing_that_is_remembered(opened, clocks, tmp_path):
    box = opened()
    box.add([row(clocks, "x" * 3000) for _ in range(50)])
    box._store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (tmp_path / FILE).open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(20_000))
    with structlog.testing.capture_logs() as logs:
        box._store.db.execute("PRAGMA cache_size = 0")
        box.next("publish", 0, 100)
        box.add([row(clocks, "new")])
    assert "outbox_corrupt" in [entry["event"] for entry in logs]
    assert texts(box.next("publish", 0, 100)) == ["x" * 3000] * 50 + ["new"]
    assert box.counters["committed"] == 51
    again = opened()
    assert texts(again.next("publish", 0, 100)) == ["x" * 3000] * 50 + ["new"]
    assert again.counters["committed"] == 51


def _remove(file: Path) -> None:
    file.unlink()


def _remove_all(file: Path) -> None:
    shutil.rmtree(file.parent)


def _replace(file: Path) -> None:
    file.with_name("other").write_bytes(b"not a database")
    file.with_name("other").replace(file)


def _truncate(file: Path) -> None:
    os.truncate(file, 5000)


def _remove_journal(file: Path) -> None:
    file.with_name(f"{file.name}-wal").unlink()


@pytest.mark.parametrize("harm", [_remove, _remove_all, _replace, _truncate, _remove_journal])
def test_a_file_that_somebody_takes_away_is_noticed_and_its_rows_are_committed_again(
    opened, clocks, tmp_path, harm
):
    box = opened()
    box.add([row(clocks, f"{n}" * 3000, left_s=60) for n in range(5)])
    box._store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    gone, *_ = box.add([row(clocks, "gone", left_s=60)])
    box.mark_delivered([gone.id])
    box._store.place.changed()  # the look that it takes now and then
    harm(tmp_path / FILE)
    box._store.looked = 0.0
    with structlog.testing.capture_logs() as logs:
        box.retry_storage()
    assert "outbox_corrupt" in [entry["event"] for entry in logs]
    assert box.trouble is None
    assert (box.counters["committed"], box.counters["delivered"]) == (6, 1)
    with pytest.raises(CannotStart, match="another agent"):
        Outbox(tmp_path, OutboxSettings(), clocks).open()
    box.close()
    again = opened()
    assert texts(again.next("publish", 0, 100)) == [f"{n}" * 3000 for n in range(5)]
    assert (again.counters["committed"], again.counters["delivered"]) == (6, 1)


def test_rows_that_a_user_purged_do_not_come_back_with_a_removed_file(opened, clocks, tmp_path):
    box = opened()
    box.add([row(clocks, t) for t in "abc"])
    assert purge(tmp_path) == 3
    (tmp_path / FILE).unlink()
    box._store.looked = 0.0
    box.retry_storage()
    assert box.next("publish", 0, 100) == []


def test_what_a_killed_process_may_have_sent_counts_as_unknown(opened, clocks):
    box = opened()
    box.add([row(clocks, t) for t in "ab"])
    box.sending()
    box = opened()  # without a word of the one before
    box.add([row(clocks, "c")])
    clocks.both(6)
    assert texts(box.expire()) == ["a", "b", "c"]
    assert (box.counters["expired"], box.counters["unknown"]) == (1, 2)


def test_what_was_never_sent_expires_also_in_the_next_process(opened, clocks):
    box = opened()
    box.add([row(clocks, "a")])
    box.sending()
    box.close(certain=True)
    clocks.both(6)
    box = opened()
    box.expire()
    assert (box.counters["expired"], box.counters["unknown"]) == (1, 0)


def test_a_second_agent_on_the_same_folder_cannot_start(opened, clocks, tmp_path):
    opened()
    with pytest.raises(CannotStart, match=rf"another agent \(process {os.getpid()}\) uses this folder"):
        Outbox(tmp_path, OutboxSettings(), clocks).open()


def test_a_folder_that_cannot_be_made_is_said_at_the_start(clocks, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CannotStart, match=r"cannot be written to .* set agent\.state_dir"):
        Outbox(tmp_path / "file" / "state", OutboxSettings(), clocks).open()


def test_only_the_owner_may_read_it(opened, tmp_path):
    opened()
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for 1 MiB."""
    with mount_small_disk(tmp_path / "disk", "1m") as folder:
        yield folder


def fill_up(folder: Path) -> Path:
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast


@pytest.mark.root
def test_a_full_disk_is_said_at_the_start(small_disk, clocks):
    fill_up(small_disk)
    with pytest.raises(
        CannotStart, match=r"cannot be written to \(.*(full|space|I/O|open).*\); free some space"
    ):
        Outbox(small_disk, OutboxSettings(), clocks).open()


@pytest.mark.root
def test_on_a_full_disk_rows_wait_in_memory_and_none_is_sent_twice(small_disk, clocks, monkeypatch):
    monkeypatch.setattr("agent.delivery.outbox.store.MEND_EVERY_S", 0.0)
    box = Outbox(small_disk, OutboxSettings(), clocks)
    box.open()
    a, _ = box.add([row(clocks, "a", left_s=60), row(clocks, "b", left_s=60)])
    ballast = fill_up(small_disk)
    with structlog.testing.capture_logs() as logs:
        while box.trouble is None:  # the side file may have room for a few
            box.add([row(clocks, "f" * 4000, left_s=60)])
        box.add([row(clocks, "c", left_s=60)])
        box.mark_delivered([a.id])
        waiting = box.next("publish", 0, 10_000)
        assert texts(waiting)[0] == "b"
        assert texts(waiting)[-1] == "c"
        assert box.stats().depth == len(waiting)
        ballast.unlink()
        box.retry_storage()
    assert [entry["event"] for entry in logs] == ["outbox_failed", "outbox_recovered"]
    assert box.trouble is None
    box.close()
    again = Outbox(small_disk, OutboxSettings(), clocks)
    again.open()
    assert texts(again.next("publish", 0, 10_000)) == texts(waiting)
    again.close()


@pytest.mark.root
def test_a_read_only_file_system_is_said_at_the_start(small_disk, clocks):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(CannotStart, match=r"Read-only file system"):
        Outbox(small_disk, OutboxSettings(), clocks).open()


def test_kill_9_in_the_middle_of_commits_loses_no_committed_row(tmp_path):
    script = (
        "import sys; from pathlib import Path\n"
        "from agent.config.settings import OutboxSettings\n"
        "from agent.delivery.clocks import Clocks\n"
        "from agent.delivery.outbox.outbox import Outbox, Row\n"
        "c = Clocks(); box = Outbox(Path(sys.argv[1]), OutboxSettings(rows=1000000), c); box.open()\n"
        "n = 0\n"
        "while True:\n"
        "    box.add([Row('publish', 't', str(n).encode(), c.deadline(3600), str(n))])\n"
        "    print(n, flush=True); n += 1\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    for _ in range(200):
        last = int(process.stdout.readline())
    process.kill()
    last = max([last, *map(int, process.stdout.read().split())])
    process.wait()
    process.stdout.close()
    found = [int(r.payload) for r in list_rows(tmp_path, 10**9)]
    assert found[: last + 1] == list(range(last + 1))
    assert len(found) <= last + 2
    with sqlite3.connect(tmp_path / FILE) as db:
        assert db.execute("SELECT value FROM counters WHERE name = 'committed'").fetchone()[0] == len(found)
    db.close()


@pytest.mark.parametrize("torn", ["shorter", "garbage"])
def test_a_power_cut_in_the_middle_of_a_commit_costs_that_commit_and_no_other(opened, clocks, tmp_path, torn):
    """What was synced is on the platter; of what was being written there is a part, or anything."""
    box, sizes = opened(), []
    for number in range(20):
        box.add([row(clocks, str(number), left_s=60)])
        sizes.append((tmp_path / f"{FILE}-wal").stat().st_size)
    file, wal = (tmp_path / FILE).read_bytes(), (tmp_path / f"{FILE}-wal").read_bytes()
    for number, (before, after) in enumerate(itertools.pairwise(sizes)):
        cut = (before + after) // 2
        left = wal[:cut] if torn == "shorter" else wal[:cut] + os.urandom(after - cut)
        folder = tmp_path / f"after-{number}"
        folder.mkdir()
        (folder / FILE).write_bytes(file)
        (folder / f"{FILE}-wal").write_bytes(left)
        again = Outbox(folder, OutboxSettings(), clocks)
        again.open()
        assert texts(again.next("publish", 0, 100)) == [str(n) for n in range(number + 1)]
        again.close()
