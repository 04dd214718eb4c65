"""Persistent flag for disabled cameras."""

from __future__ import annotations

from pathlib import Path

import structlog

FILE = "paused"  # in the state folder; empty

log = structlog.get_logger(__name__)


class PausedFlag:
    """Flag file that exists while the cameras are disabled, also over restarts."""

    def __init__(self, state: Path) -> None:
        self._file = state / FILE

    @property
    def on(self) -> bool:
        """True while the cameras are disabled."""
        return self._file.exists()

    def on_enabled(self, enabled: bool) -> None:
        """Store whether the cameras are disabled. A disk error is logged and otherwise ignored."""
        try:
            if enabled:
                self._file.unlink(missing_ok=True)
            else:
                self._file.touch()
        except OSError as exc:
            log.error("pause_not_remembered", file=str(self._file), reason=exc.strerror)
