"""Detection of changes to the rule files."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TypeAlias

from agent.config.regular_file import visible_files

LOOK_EVERY_S = 1.0
GONE_S = 5.0  # time for which a file must be missing: editors and sync tools move files away and back

_FileStamp: TypeAlias = (
    "tuple[tuple[str, int, int, int], ...] | str"  # name, mtime in ns, bytes, mode; or why not
)


def is_rule_file(name: str) -> bool:
    """Whether a file name is that of a rule file."""
    return name.endswith(".toml")


def rule_paths(source: Path) -> list[Path]:
    """Return the rule files of a folder in name order, or the single file. Raises `OSError`."""
    if stat.S_ISDIR(source.stat().st_mode):
        return visible_files(source, is_rule_file)
    return [source]


class FileWatcher:
    """Polls a folder of TOML files, or one file, at most once a second."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._seen = self._print()
        self._settled = self._seen
        self._seen_at = 0.0
        self._looked_at = 0.0

    def changed(self, now: float) -> bool:
        """Return True once for every change after the files have stopped changing. `now` is in seconds.

        Editors write in several steps, and move files away and back; a missing file counts after `GONE_S`.
        """
        if now - self._looked_at < LOOK_EVERY_S:
            return False
        self._looked_at = now
        before, self._seen = self._seen, self._print()
        if self._seen != before:
            self._seen_at = now
            return False
        if self._seen == self._settled or (self._missing() and now - self._seen_at < GONE_S):
            return False
        self._settled = self._seen
        return True

    def _missing(self) -> bool:
        """Whether a file is missing that was there when the files last were stable."""
        if isinstance(self._seen, str):
            return not isinstance(self._settled, str)
        return not isinstance(self._settled, str) and not _names(self._settled) <= _names(self._seen)

    def _print(self) -> _FileStamp:
        try:
            found = [(path.name, path.stat()) for path in rule_paths(self._source)]
        except OSError as exc:
            return exc.strerror or "unreadable"
        return tuple((name, s.st_mtime_ns, s.st_size, s.st_mode) for name, s in found)


def _names(seen: tuple[tuple[str, int, int, int], ...]) -> set[str]:
    return {entry[0] for entry in seen}
