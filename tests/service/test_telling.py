"""A log that nobody takes costs lines, which are counted, and nothing else."""

import contextlib
import io
import os
import threading
from pathlib import Path

import pytest
import structlog

from agent.config.settings import LogSettings
from agent.service.logs import configure_logs
from agent.service.sink import LOST, LostLines, Sink


@pytest.fixture
def full_disk():
    with Path("/dev/full").open("w", encoding="utf-8") as stream:
        yield stream
        with pytest.raises(OSError, match="No space"):
            os.write(stream.fileno(), b"x")


@pytest.fixture
def readerless():
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w", encoding="utf-8") as stream:
        yield stream


@pytest.fixture
def standing():
    """A pipe whose reader does not read, full to the brim."""
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    with os.fdopen(reads, "rb", buffering=0) as reader, os.fdopen(writes, "w", encoding="utf-8") as stream:
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writes, b"." * 4096)
        os.set_blocking(writes, True)
        yield reader, stream


@pytest.mark.parametrize("log_format", ["console", "json"])
@pytest.mark.parametrize("where", ["full_disk", "readerless"])
def test_a_log_that_cannot_be_written_does_not_raise(where: str, log_format: str, request):
    before = LOST.lines
    configure_logs(LogSettings(format=log_format), {}, request.getfixturevalue(where))
    log = structlog.get_logger()
    log.info("gesture_started", gesture="stop")
    try:
        raise ValueError("it broke")  # noqa: TRY301
    except ValueError:
        log.exception("outbox_crashed")
    assert LOST.lines == before + 2


def test_a_reader_that_stands_still_holds_nobody_and_what_it_missed_is_counted(standing):
    reader, stream = standing
    lost = LostLines()
    sink = Sink(stream, lost)
    sink.write("nobody reads this\n")
    assert lost.lines == 1
    reader.read(65536)
    sink.write("read again\n")
    assert lost.lines == 1
    assert b"read again" in reader.read(65536)


def test_a_line_longer_than_a_pipe_arrives_whole_while_somebody_reads():
    reads, writes = os.pipe()
    with os.fdopen(reads, "rb") as reader, os.fdopen(writes, "w", encoding="utf-8") as stream:
        heard: list[bytes] = []
        thread = threading.Thread(target=lambda: heard.append(reader.read(300_001)))
        thread.start()
        Sink(stream, lost := LostLines()).write("x" * 300_000 + "\n")
        thread.join()
    assert heard == [b"x" * 300_000 + b"\n"]
    assert lost.lines == 0


def test_half_a_surrogate_pair_is_reported_as_the_escape_it_was(tmp_path):
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        configure_logs(LogSettings(format="console"), {}, stream)
        structlog.get_logger().warning("request_refused", topic="\ud800")
    assert "\\ud800" in (tmp_path / "log").read_text(encoding="utf-8")


class Wordless:
    def __repr__(self) -> str:
        raise RuntimeError("no words for it")


def test_a_value_that_cannot_be_shown_costs_its_line():
    before, stream = LOST.lines, io.StringIO()
    configure_logs(LogSettings(format="console"), {}, stream)
    structlog.get_logger().info("gesture_started", gesture=Wordless())
    structlog.get_logger().info("gesture_ended")
    assert LOST.lines == before + 1
    assert "gesture_ended" in stream.getvalue()
