"""Whether somebody has switched the cameras off: remembered over restarts."""

from __future__ import annotations

from pathlib import Path

import structlog

FILE = "paused"  # in the state folder; empty

log = structlog.get_logger(__name__)


class PausedFlag:
    """A file that is there while the cameras are to stay closed."""

    def __init__(self, state: Path) -> None:
        self._file = state / FILE

    @property
    def on(self) -> bool:
        """The cameras stay closed."""
        return self._file.exists()

    def on_enabled(self, enabled: bool) -> None:
        """Remember whether the cameras are in use. A disk that cannot be written to is told, no more."""
        try:
            if enabled:
                self._file.unlink(missing_ok=True)
            else:
                self._file.touch()
        except OSError as exc:
            log.error("pause_not_remembered", file=str(self._file), reason=exc.strerror)
