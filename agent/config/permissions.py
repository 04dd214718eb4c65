"""Who may write the files that the agent obeys."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from agent.config.problems import Problem


def open_to_all(path: Path, danger: str) -> Iterator[Problem]:
    """A problem when anyone may write this file, or replace the files of this folder.

    A folder that is sticky, as /tmp is, protects what is in it. What is not there is said when it is read.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if mode & stat.S_IWOTH and not (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
        yield Problem(str(path), 0, 0, f"anyone may write here, and {danger}; run: chmod o-w {path}")
