"""Names of cameras of earlier runs, whose retained topics have to be deleted once they are removed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

FILE = "cameras"  # in the state folder, one name a line
MOST = 100  # maximum names
NAME = re.compile(r"[a-z0-9_-]{1,64}")  # valid camera names, so that no other topic can result


def removed_cameras(folder: Path, cameras: Sequence[str]) -> list[str]:
    """Return the remembered cameras that are not among `cameras`, and remember all.

    All names are kept, because the broker may be away during this run. An unreadable or unwritable file is
    logged and otherwise ignored.
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
