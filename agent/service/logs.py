"""Log output: lines for people, JSON on request, structured fields in the journal.

Under systemd every key of an event becomes a field, so that `journalctl GESTURE=stop` finds it.
Logging never raises: lines that cannot be written are counted (`agent.service.sink.LOST`).
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, NoReturn, TextIO, cast

import structlog

from agent.config.settings import LogSettings
from agent.service.sink import LOST, Sink

_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}  # as in syslog
_RESERVED = {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "EVENT"}


def configure_logs(
    settings: LogSettings, environ: Mapping[str, str] = os.environ, stream: TextIO = sys.stderr
) -> str:
    """Configure structlog for the whole process; return the chosen format.

    `auto`: the journal where stderr is connected to it and systemd-python is installed, else console.
    """
    chosen: str = settings.format
    if chosen == "auto":
        chosen = "journal" if _to_journal(environ, stream) and _has_systemd() else "console"
    sink = cast("TextIO", Sink(stream))
    level: int = getattr(logging, settings.level.upper())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            *_processors(chosen, stream),
        ],
        wrapper_class=_never_raising(structlog.make_filtering_bound_logger(level)),
        logger_factory=structlog.WriteLoggerFactory(sink),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=sink, format="%(name)s: %(message)s", force=True)
    logging.raiseExceptions = False  # or a line that cannot be formatted prints a traceback of its own
    return chosen


def _never_raising(logger: type[Any]) -> type[Any]:
    """Wrap a logger so that failures (no journal, a value without a `repr`) are counted instead of raised."""

    class NeverRaising(logger):  # type: ignore[misc]  # made at run time
        def _proxy_to_logger(self, method_name: str, event: str | None = None, **event_kw: Any) -> Any:
            try:
                return super()._proxy_to_logger(method_name, event, **event_kw)
            except Exception:  # noqa: BLE001 (whatever it is: logging must not stop the program)
                LOST.line()

    return NeverRaising


def _processors(chosen: str, stream: TextIO) -> list[Any]:
    if chosen == "journal":
        return [structlog.processors.format_exc_info, _to_the_journal]
    if chosen == "json":
        return [
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ]
    colours = stream.isatty() and "NO_COLOR" not in os.environ
    return [
        structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(
            colors=colours,
            pad_event_to=18,
            exception_formatter=structlog.dev.plain_traceback,  # the rich one shows local variables: secrets
        ),
    ]


def _to_journal(environ: Mapping[str, str], stream: TextIO) -> bool:
    """Whether stderr is the journal's socket (systemd.exec(5), $JOURNAL_STREAM)."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _has_systemd() -> bool:
    try:
        import systemd.journal  # noqa: PLC0415, F401 (an optional package)
    except ImportError:
        return False
    return True


def _to_the_journal(_logger: object, _method: str, event: MutableMapping[str, Any]) -> NoReturn:
    """Last processor: sends the event with its fields to the journal and prints nothing."""
    from systemd import journal  # noqa: PLC0415 (an optional package)

    message, fields = journal_entry(event)
    journal.send(message, SYSLOG_IDENTIFIER="gesture-agent", **fields)
    raise structlog.DropEvent


def journal_entry(event: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the fields of a journal entry: a readable line, and one upper-case field for every key."""
    name = str(event.get("event", ""))
    keys = {key: value for key, value in event.items() if key not in {"event", "level"} and value is not None}
    shown = " ".join(f"{key}={value}" for key, value in keys.items() if key != "exception")
    message = f"{name} {shown}".rstrip()
    if "exception" in keys:
        message = f"{message}\n{keys['exception']}"
    fields = {key.upper(): str(value) for key, value in keys.items() if key.upper() not in _RESERVED}
    return message, {**fields, "EVENT": name, "PRIORITY": _PRIORITIES.get(str(event.get("level")), 6)}
