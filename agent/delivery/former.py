"""Cameras that were told of once: what is retained of one that is no longer there must go."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

FILE = "cameras"  # in the state folder, a name a line
MOST = 100  # names that are remembered
NAME = re.compile(r"[a-z0-9_-]{1,64}")  # as the settings allow them, so that no topic comes of anything else


def former_cameras(folder: Path, cameras: Sequence[str]) -> list[str]:
    """Those of earlier runs that are not among `cameras`; from now on all are remembered.

    A broker that is away now may be told in a later run. A file that cannot be read or written costs
    that memory and is told.
    """
    file = folder / FILE
    try:
        told = file.read_text(encoding="utf-8", errors="replace").split()[:MOST] if file.exists() else []
        former = [name for name in dict.fromkeys(told) if name not in cameras and NAME.fullmatch(name)]
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(mode=0o600)
        file.write_text("\n".join([*cameras, *former][:MOST]) + "\n", encoding="utf-8")
    except OSError as exc:
        log.warning("cameras_not_remembered", file=str(file), reason=str(exc))
        return []
    return former
