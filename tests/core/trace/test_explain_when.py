"""explain by the clock, and the thread that writes the ring."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import typer
from scenes import HEADER, pipeline, records, write
from structlog.testing import capture_logs

from agent.commands.explain_when import find_moment
from agent.core.trace import TraceRecord
from agent.core.trace_explain import explain
from agent.errors import ConfigError
from agent.service.trace_files import QUEUED, RotatingTraceWriter, StoredTrace, TraceWriterThread, traces_of

BEGAN = (datetime.now(timezone.utc) - timedelta(hours=3)).replace(microsecond=0)
QUIET, STOP = "." * 150, "S" * 30 + "." * 120  # ten seconds each


def part(folder: Path, number: int, timeline: str, *, run: float = 1000.0) -> None:
    """The n-th ten seconds of a run that began at `BEGAN`."""
    started = BEGAN + timedelta(seconds=10 * number)
    header = replace(HEADER, at=run + 10 * number, started=started.isoformat().replace("+00:00", "Z"))
    write(folder / f"{started:%Y%m%dT%H%M%S}.jsonl", records(timeline, start=run + 10 * number), header)


@pytest.fixture
def traces(tmp_path: Path) -> list[StoredTrace]:
    for number, timeline in enumerate((QUIET, STOP, QUIET)):
        part(tmp_path, number, timeline)
    (tmp_path / "29990101T000000.jsonl").write_bytes(b"")  # just begun
    (tmp_path / "._20200101T000000.jsonl").write_bytes(b"\0\5\x16\7")
    return traces_of(tmp_path)


def says(traces: list[StoredTrace], at: str | None, around_s: float) -> str:
    found = find_moment(traces, at)
    return "\n".join(
        explain(found.header, found.records(), pipeline(), found.at_s, around_s, time_text=found.time_text)
    )


def test_without_a_time_the_last_minutes_are_reported_by_the_clock(traces: list[StoredTrace]):
    said = says(traces, None, 120.0)
    stop = (BEGAN + timedelta(seconds=10.3)).astimezone()
    assert f"{stop:%H:%M:%S}" in said
    assert "stop started" in said


def test_a_time_of_day_leads_to_the_part_that_holds_it_and_to_those_about_it(traces: list[StoredTrace]):
    asked = (BEGAN + timedelta(seconds=12)).astimezone()
    found = find_moment(traces, f"{asked:%H:%M:%S}")
    assert len(found.parts) == 3
    assert found.path == traces[1].path
    assert found.at_s == pytest.approx(12.0)
    assert found.time_text(found.at_s) == f"{asked:%H:%M:%S}.0"


def test_a_part_of_another_run_of_the_daemon_is_not_joined(tmp_path: Path):
    part(tmp_path, 0, QUIET)
    part(tmp_path, 1, STOP, run=5000.0)
    found = find_moment(traces_of(tmp_path), None)
    assert [one.header.at for one in found.parts] == [5010.0]  # the last one's


def test_a_time_before_the_traces_is_reported_when_they_begin(traces: list[StoredTrace]):
    asked = (BEGAN - timedelta(hours=1)).astimezone()
    with pytest.raises(typer.BadParameter, match=f"the traces begin at {BEGAN.astimezone():%H:%M:%S}"):
        find_moment(traces, f"{asked:%H:%M}")


def test_seconds_want_one_trace_and_a_clip_knows_no_clock(tmp_path: Path, traces: list[StoredTrace]):
    with pytest.raises(typer.BadParameter, match="name one trace, or a time of day"):
        find_moment(traces, "12.3s")
    clip = traces_of(write(tmp_path / "clip.jsonl", records(STOP)))
    assert find_moment(clip, "1.5s").at_s == 1.5
    with pytest.raises(typer.BadParameter, match="is of a clip and knows no time of day"):
        find_moment(clip, "20:15")


def test_a_folder_without_traces_says_who_makes_them(tmp_path: Path):
    with pytest.raises(ConfigError, match="holds no trace; the daemon writes them unless"):
        traces_of(tmp_path)


class SlowDisk(RotatingTraceWriter):
    """A ring on a disk that stands still until it is let."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, HEADER, size_bytes=10_000_000, keep_s=3600.0, wall=lambda: 1_700_000_000.0)
        self.moves = threading.Event()
        self.reached = threading.Event()

    def record(self, record: TraceRecord) -> None:
        self.reached.set()
        assert self.moves.wait(20)
        super().record(record)


def test_who_records_does_not_wait_for_the_disk_and_what_is_lost_is_counted(tmp_path: Path):
    disk = SlowDisk(tmp_path)
    kept = TraceWriterThread(disk)
    scene = records("S" * (QUEUED + 6))
    with capture_logs() as logs:
        kept.record(scene[0])
        assert disk.reached.wait(20)  # it holds the first, and the queue the next
        for record in scene[1:-1]:
            kept.record(record)
        assert [entry["event"] for entry in logs] == ["trace_lost"]
        disk.moves.set()
        kept.close()
    [trace] = traces_of(tmp_path)
    assert len(list(trace.records())) == QUEUED + 1
