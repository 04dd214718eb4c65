"""Noticing that somebody has edited the rule files."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TypeAlias

from agent.config.regular_file import visible_files

LOOK_EVERY_S = 1.0
GONE_S = 5.0  # editors and synchronisers move a file away and back: it is gone when it was for so long

_FileStamp: TypeAlias = (
    "tuple[tuple[str, int, int, int], ...] | str"  # name, mtime in ns, bytes, mode; or why not
)


def is_rule_file(name: str) -> bool:
    """Whether a visible file of the rules folder holds rules."""
    return name.endswith(".toml")


def rule_paths(source: Path) -> list[Path]:
    """The rule files of a folder in name order, or the one file. Raises `OSError`."""
    if stat.S_ISDIR(source.stat().st_mode):
        return visible_files(source, is_rule_file)
    return [source]


class FileWatcher:
    """Looks at a folder of TOML files, or at one file, once a second at most."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._seen = self._print()
        self._settled = self._seen
        self._seen_at = 0.0
        self._looked_at = 0.0

    def changed(self, now: float) -> bool:
        """True once for every change that has stood still: an editor may write in steps.

        One look is enough, but where a file is missing it may be on its way back.
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
        """Whether something is not there that was there when it last stood still."""
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
