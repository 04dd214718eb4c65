"""Bounded reading of user-written files: regular files only, up to a size limit.

Reading a pipe would block and a device never ends, and both can be where a rule file is expected, through a
link. Companion files of editors and other systems (`.#hall.toml`, `._hall.toml`, `.hall.toml.swp`) are not
rules, images or networks: names that begin with a dot are skipped in every folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path


class NotAFileError(OSError):
    """The path is not a regular file, or is too long to read."""


def read_bytes(path: Path, most: int) -> bytes:
    """Read a regular file of at most `most` bytes. Raises `OSError` whose `strerror` says what is wrong."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # opening a pipe must not block
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise NotAFileError(0, f"it is {_kind(found.st_mode)}, not a file")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(most + 1)
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise NotAFileError(
            0, f"it is {max(found.st_size, len(content))} bytes long; at most {most} are read"
        )
    return content


def visible_files(folder: Path, wanted: Callable[[str], bool]) -> list[Path]:
    """Return the visible files of a folder whose names `wanted` accepts, in name order. Raises `OSError`.

    Unlike `Path.glob`, it does not turn an error into an empty list.
    """
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    return [folder / name for name in names if is_visible(name) and wanted(name)]


def is_visible(name: str) -> bool:
    """Whether a name is not hidden, that is, not a companion file of an editor or another system."""
    return not name.startswith(".")


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "something else")
