"""Atomic writes to the cache folder, with clear errors for a full disk or missing permission."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from agent.config.permissions import open_to_all
from agent.config.regular_file import read_bytes
from agent.core.numbers import read_json
from agent.errors import ModelError

MAX_RECEIPT = 1_000_000  # bytes


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically, safe against power failure. Raises `ModelError`."""
    part = path.with_suffix(path.suffix + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as exc:
        with suppress(OSError):
            part.unlink()
        raise (
            disk_is_full(path.parent, len(content)) if exc.errno == errno.ENOSPC else _unwritable(path, exc)
        ) from exc


@contextmanager
def scratch_folder(cache_dir: Path) -> Iterator[Path]:
    """Create a temporary folder on the disk of the cache, removed afterwards. Raises `ModelError`."""
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.mkdtemp(prefix=".fetch-", dir=cache_dir)
    except OSError as exc:
        raise (
            disk_is_full(cache_dir, None) if exc.errno == errno.ENOSPC else _unwritable(cache_dir, exc)
        ) from exc
    try:
        yield Path(scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def disk_is_full(folder: Path, needed: int | None) -> ModelError:
    """Build the error for a full disk; `needed` in bytes, None where unknown."""
    free = shutil.disk_usage(folder).free
    what = "the download" if needed is None else f"{needed:,} bytes"
    return ModelError(
        f"{folder}: the disk is full, {what} did not fit and {free:,} bytes are free; make room"
    )


def _unwritable(path: Path, exc: OSError) -> ModelError:
    return ModelError(f"{path}: cannot be written ({exc.strerror}); set agent.cache_dir to a folder of yours")


def check_owner(path: Path) -> None:
    """Raise `ModelError` where every user can write a file: receipts verify integrity, not origin."""
    danger = "a forged network, its receipt beside it, would be believed"
    for problem in open_to_all(path, danger):
        raise ModelError(str(problem))


def receipt_of(path: Path) -> dict[str, Any]:
    """Return the receipt beside a cached file; empty where there is none that can be read."""
    try:
        receipt = read_json(read_bytes(path.with_suffix(".json"), MAX_RECEIPT))
    except (OSError, ValueError):
        return {}
    return receipt if isinstance(receipt, dict) else {}
