"""Earlier texts of files that were changed in the browser, kept in the state folder; of deleted files too."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from agent.config.atomic_file import NewFile
from agent.config.regular_file import visible_files

RULES, SETTINGS = "rule-history", "settings-history"  # folders in the state folder
KEPT = 20  # versions of each file
PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class TextVersion:
    """A text that a file had, by the time at which it was replaced or deleted (ms since 1970)."""

    id: str
    replaced_ms: int
    size: int


class TextHistory:
    """The last `KEPT` texts of every file of one kind."""

    def __init__(self, home: Path, wall: Callable[[], float] = time.time) -> None:
        """`home` is the folder in which the texts are kept; it is made when it is needed."""
        self._home, self._wall = home, wall

    def names(self) -> list[str]:
        """Files of which there are versions."""
        try:
            folders = [path.name for path in self._home.iterdir() if path.is_dir()]
        except OSError:
            return []
        return sorted(unquote(name) for name in folders if self.versions(unquote(name)))

    def versions(self, name: str) -> list[TextVersion]:
        """Those of a file, the newest first; none where it never changed."""
        return [
            TextVersion(path.stem, int(path.stem), path.stat().st_size)
            for path in reversed(self._files(name))
        ]

    def path(self, name: str, version: str) -> Path | None:
        """Where the text of a version is; only ids from the list lead to a file."""
        return next((path for path in self._files(name) if path.stem == version), None)

    def next_version(self, name: str, text: str) -> NewFile:
        """The file that keeps a text, to be written together with what replaces it."""
        last = max((int(path.stem) for path in self._files(name)), default=0)
        kept = self._folder(name) / f"{max(int(self._wall() * 1000), last + 1):013}.toml"
        return NewFile(kept, text.encode(), PRIVATE)

    def forget_oldest(self, name: str) -> None:
        """Keep the newest `KEPT`."""
        for path in self._files(name)[:-KEPT]:
            path.unlink(missing_ok=True)

    def _files(self, name: str) -> list[Path]:
        """The oldest first."""
        try:
            return visible_files(
                self._folder(name), lambda file: file.endswith(".toml") and file[:-5].isdecimal()
            )
        except OSError:
            return []

    def _folder(self, name: str) -> Path:
        return self._home / quote(name, safe="")
