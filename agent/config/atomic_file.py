"""Writes files whole or not at all: a full disk, a crash or Ctrl-C leaves what was there before."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import ConfigError

NO_LINKS = {
    errno.EPERM,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EMLINK,
}  # FAT and others


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to write. `mode`: permissions; None: those of the file that it replaces, else 0644.

    `must_be_new`: a file that is there, even one that appears at the last moment, is never replaced.
    """

    path: Path
    data: bytes
    mode: int | None = None
    must_be_new: bool = False


def write_atomic(path: Path, data: bytes, mode: int | None = None) -> None:
    """Write one file. Raises `ConfigError` that says what was not written, and why."""
    write_all([NewFile(path, data, mode)])


def write_all(files: Sequence[NewFile]) -> None:
    """Write all files or none, and make the folders they need.

    All are written beside their targets and flushed to the disk first, then renamed. What fails, or is
    interrupted, is undone: no new file, no new folder, every replaced file as it was. Raises `ConfigError`.
    """
    with contextlib.ExitStack() as undo:
        at = files[0].path if files else Path()
        try:
            staged = []
            for file in files:
                at = file.path
                _make_folder(file.path.parent, undo)
                staged.append((_staged(file, undo), file))
            for part, file in staged:
                at = file.path
                if file.must_be_new:
                    _put_new(part, file.path, undo)
                else:
                    _put(part, file.path, undo)
        except OSError as exc:
            raise ConfigError(f"{at}: {exc.strerror}; nothing was written") from exc
        undo.pop_all()
    for folder in {file.path.parent for file in files}:
        _flush_folder(folder)


def _staged(file: NewFile, undo: contextlib.ExitStack) -> Path:
    """A flushed copy beside the target, as private as it must be from its first byte on."""
    descriptor, name = tempfile.mkstemp(dir=file.path.parent, prefix=f".{file.path.name}.", suffix=".part")
    part = Path(name)
    undo.callback(part.unlink, missing_ok=True)
    with os.fdopen(descriptor, "wb") as out:
        out.write(file.data)
        out.flush()
        os.fchmod(out.fileno(), _mode(file))
        os.fsync(out.fileno())
    return part


def _mode(file: NewFile) -> int:
    if file.mode is not None:
        return file.mode
    try:
        return file.path.stat().st_mode & 0o777
    except FileNotFoundError:
        return 0o644


def _put(part: Path, target: Path, undo: contextlib.ExitStack) -> None:
    """Rename over the target; the undo brings back what it was."""
    real = target.resolve() if target.is_symlink() else target
    if real.exists():
        before, mode = real.read_bytes(), real.stat().st_mode & 0o777
        undo.callback(_restore, real, before, mode)
    else:
        undo.callback(real.unlink, missing_ok=True)
    part.replace(real)


def _put_new(part: Path, target: Path, undo: contextlib.ExitStack) -> None:
    """Take the name only where nobody has it: a hard link fails on a name that is there."""
    try:
        os.link(part, target)
    except OSError as exc:
        if exc.errno not in NO_LINKS:
            raise
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # takes the name as well
        undo.callback(target.unlink, missing_ok=True)
        part.replace(target)
        return
    undo.callback(target.unlink, missing_ok=True)
    part.unlink()


def _restore(path: Path, data: bytes, mode: int) -> None:
    with contextlib.suppress(OSError):
        if path.read_bytes() != data:
            path.write_bytes(data)
            path.chmod(mode)


def _make_folder(folder: Path, undo: contextlib.ExitStack) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir()
        undo.callback(_remove_empty, path)


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _flush_folder(folder: Path) -> None:
    """So that the new name itself survives a power cut; some file systems cannot."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
