"""Permission check: who can write the files that the agent trusts, or replace them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from agent.config.problems import Problem

MAX_LINKS = 40  # as in the kernel


def open_to_all(path: Path, danger: str) -> Iterator[Problem]:
    """Yield a problem for each component of a path that every user can write, and so replace.

    All parent folders and link targets are checked. A sticky folder, like /tmp, protects what belongs to this
    user or to root. Missing files are reported when they are read. `danger` ends the text of the problem.
    """
    sticky = False
    for place in _way(path):
        try:
            found = place.lstat()
        except OSError:
            return
        if sticky and found.st_uid not in {0, os.geteuid()}:
            text = f"belongs to somebody else, in a folder where anyone may write, and {danger}; move it"
            yield Problem(str(place), 0, 0, text)
        is_folder = stat.S_ISDIR(found.st_mode)
        by_all = bool(found.st_mode & stat.S_IWOTH) and not stat.S_ISLNK(found.st_mode)
        sticky = by_all and is_folder and bool(found.st_mode & stat.S_ISVTX)
        if by_all and not sticky:
            yield Problem(str(place), 0, 0, f"anyone may write here, and {danger}; run: chmod o-w {place}")


def _way(path: Path) -> Iterator[Path]:
    """Every folder and link that resolving `path` passes, and the final target."""
    here = Path("/")
    yield here
    todo = list(reversed(path.absolute().parts[1:]))
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            here = here.parent
            continue
        step = here / part
        yield step
        try:
            target = step.readlink()
        except OSError:  # not a link
            here = step
            continue
        links += 1
        if links > MAX_LINKS:
            return
        if target.is_absolute():
            here = Path("/")
            yield here
        todo += reversed(target.parts[1:] if target.is_absolute() else target.parts)
