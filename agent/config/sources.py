"""Sources that are files: what a path, `file:PATH`, `folder:PATH` and `file:///PATH` name."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+]*):")  # "v4l2:...", "rtsp://...", "gst:..."; else it is a path
_LOCAL = frozenset({"file", "folder"})


def scheme(source: str) -> str | None:
    """What stands before the first colon, in small letters; None for a plain path."""
    found = SCHEME.match(source)
    return found.group(1).lower() if found else None


def local_path(source: str) -> Path | None:
    """The file or folder that a source names; None for a camera, a stream or a pipeline.

    `~` is the user's home. `file://` takes a URL (RFC 8089: percent-encoded, this
    host only), `file:` and `folder:` a path as it is.
    """
    kind = scheme(source)
    if kind is None:
        return Path(source).expanduser()
    if kind not in _LOCAL:
        return None
    rest = source[len(kind) + 1 :]
    if not rest.startswith("//"):
        return Path(rest).expanduser()
    url = urlsplit(f"file:{rest}")
    host = "" if url.netloc == "localhost" else url.netloc
    return Path(unquote(host + url.path, errors="surrogateescape"))


def shown(path: Path) -> str:
    """The path as text that every log, terminal and JSON can take, also where its name is not UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def absolute_source(source: str, folder: Path) -> str:
    """The same source; a relative path starts at `folder`."""
    path = local_path(source)
    if path is None:
        return source
    kind = scheme(source)
    return f"{kind}:{folder / path}" if kind else str(folder / path)
