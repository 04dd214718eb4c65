"""Noticing that somebody has edited the rule files."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

LOOK_EVERY_S = 1.0

_Print: TypeAlias = "tuple[tuple[str, int, int], ...]"  # name, mtime in ns, bytes


class Changes:
    """Looks at a folder of TOML files, or at one file, once a second at most."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._seen = self._print()
        self._settled = self._seen
        self._looked_at = 0.0

    def changed(self, now: float) -> bool:
        """True once for every change, when it has stood still for one look: an editor may write in steps."""
        if now - self._looked_at < LOOK_EVERY_S:
            return False
        self._looked_at = now
        before, self._seen = self._seen, self._print()
        if self._seen != before or self._seen == self._settled:
            return False
        self._settled = self._seen
        return True

    def _print(self) -> _Print:
        try:
            paths = sorted(self._source.glob("*.toml")) if self._source.is_dir() else [self._source]
            found = [(path.name, path.stat()) for path in paths]
        except OSError:
            return ()  # away for a moment; what comes back counts as changed only if it is
        return tuple((name, status.st_mtime_ns, status.st_size) for name, status in found)
