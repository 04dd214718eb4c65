"""Local sources: interprets a path, `file:PATH`, `folder:PATH` and `file:///PATH`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+]*):")  # "v4l2:...", "rtsp://...", "gst:..."; otherwise a path
_LOCAL = frozenset({"file", "folder"})


def scheme(source: str) -> str | None:
    """Return the scheme of a source in lower case; None for a plain path."""
    found = SCHEME.match(source)
    return found.group(1).lower() if found else None


def local_path(source: str) -> Path | None:
    """Return the file or folder that a source names; None for a camera, stream or pipeline.

    `~` is the user's home. `file://` takes a URL (RFC 8089: percent-encoded, this host only), `file:` and
    `folder:` a literal path.
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
    """Return a path as valid UTF-8 text for logs, terminals and JSON, even where its name is not UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def absolute_source(source: str, folder: Path) -> str:
    """Return a source with its relative path resolved against `folder`; others are unchanged."""
    path = local_path(source)
    if path is None:
        return source
    kind = scheme(source)
    return f"{kind}:{folder / path}" if kind else str(folder / path)
