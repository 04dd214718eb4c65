import io
import json

import pytest
import structlog

from agent.config.settings import LogSettings
from agent.service.logs import configure_logs, journal_entry

SECRET = "hunter2"


def break_with(secret: str) -> None:
    raise ValueError("it broke" if secret else "")


def said(log_format: str, level: str = "info", environ: dict[str, str] | None = None) -> tuple[str, str]:
    """The chosen format, and what two log lines and an exception look like in it."""
    stream = io.StringIO()
    chosen = configure_logs(LogSettings(format=log_format, level=level), environ or {}, stream)
    log = structlog.get_logger()
    log.debug("step_slow", stage="pose")
    log.info("gesture_started", gesture="stop", camera="front")
    try:
        break_with(SECRET)
    except ValueError:
        log.exception("camera_reader_failed")
    return chosen, stream.getvalue()


def test_a_console_that_is_no_terminal_gets_plain_lines():
    chosen, text = said("console")
    assert chosen == "console"
    assert "\x1b" not in text
    [line] = [line for line in text.splitlines() if "gesture_started" in line]
    assert "camera=front" in line
    assert "gesture=stop" in line


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_an_exception_is_reported_without_the_values_of_its_variables(log_format):
    _, text = said(log_format)
    assert "it broke" in text
    assert SECRET not in text


def test_json_is_one_object_a_line():
    _, text = said("json")
    started, failed = (json.loads(line) for line in text.splitlines())
    assert started["event"] == "gesture_started"
    assert (started["gesture"], started["level"]) == ("stop", "info")
    assert "ValueError: it broke" in failed["exception"]


def test_the_level_hides_what_is_below_it():
    assert "step_slow" not in said("json", "info")[1]
    assert "step_slow" in said("json", "debug")[1]
    assert "gesture_started" not in said("json", "warning")[1]


def test_auto_is_the_console_where_stderr_is_not_the_journal():
    assert said("auto")[0] == "console"
    assert said("auto", environ={"JOURNAL_STREAM": "8:12345"})[0] == "console"


def test_a_journal_entry_has_a_field_for_every_key():
    event = {"event": "gesture_started", "level": "info", "gesture": "stop", "score": 0.93, "reason": None}
    message, fields = journal_entry(event)
    assert message == "gesture_started gesture=stop score=0.93"
    assert fields == {"EVENT": "gesture_started", "PRIORITY": 6, "GESTURE": "stop", "SCORE": "0.93"}
