"""Files that people write, read within limits: regular ones only, never more than so many bytes.

A pipe would be waited for, a device never ends; both can stand where a rule file is expected, by a
link. Companion files of editors and other systems (`.#hall.toml`, `._hall.toml`, `.hall.toml.swp`) are
nobody's rules, pictures or networks: names that begin with a dot are passed over wherever a folder is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path


class NotAFileError(OSError):
    """Something else is there than a file that can be read to its end."""


def read_bytes(path: Path, most: int) -> bytes:
    """All of a regular file. Raises `OSError` whose `strerror` says what is wrong with it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe is not waited for
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
    """What lies in a folder under names that are wanted, in name order; raises `OSError`.

    An error is never an empty folder (`Path.glob` would make it one).
    """
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    return [folder / name for name in names if is_visible(name) and wanted(name)]


def is_visible(name: str) -> bool:
    """Whether a name is meant for people and programs, and not for an editor or another system."""
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
