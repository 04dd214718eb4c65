"""Resumable download of a large file over HTTP, with clear errors.

Received data stays beside the target as `.part`, with a note of its origin; the next attempt requests the
rest (Range), on condition that the server's file is unchanged (If-Range).
"""

from __future__ import annotations

import errno
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from agent import __version__
from agent.core.numbers import read_int, read_json
from agent.errors import ModelError
from agent.inference.files.disk import disk_is_full
from agent.inference.nvidia.http_errors import BrokenError, refused, unreachable

TIMEOUT_S = 30.0  # without receiving a byte
PIECE_BYTES = 1 << 18
TRIES = 6  # consecutive attempts without progress
PAUSE_S = 1.0  # before the second attempt; doubled before each further one

Progress = Callable[[int, int | None], None]
"""Called with the bytes received and the total; None where the server does not report it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Timeout and retry options of a download."""

    timeout_s: float = TIMEOUT_S
    pause_s: float = PAUSE_S
    tries: int = TRIES


def download(
    url: str, target: Path, progress: Progress = lambda _done, _all: None, waiting: Waiting | None = None
) -> Path:
    """Download `url` completely to `target` and return it. Raises `ModelError` that says what to do."""
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ModelError(f"{url}: is no http or https address")
    part = _PartialFile(target)
    waiting = waiting or Waiting()
    failures = 0
    while True:
        before = part.size
        try:
            _continue(url, part, progress, waiting.timeout_s)
        except BrokenError as exc:
            failures = 1 if part.size > before else failures + 1
            if failures >= waiting.tries:
                kept = f"; {part.size:,} bytes are kept, the next try goes on there" if part.size else ""
                raise ModelError(f"{url}: {exc}; tried {failures} times{kept}") from exc
            time.sleep(waiting.pause_s * 2 ** (failures - 1))
        else:
            return part.done()


class _PartialFile:
    """A partially received file, with a note of its address and the server's validator."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self.path = target.with_name(target.name + ".part")
        self._note = target.with_name(target.name + ".part.json")

    @property
    def size(self) -> int:
        """Bytes received."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def mark(self, url: str) -> str | None:
        """The validator of the partial file, if it is of this URL and can be continued; else None."""
        try:
            note = read_json(self._note.read_text(encoding="utf-8"))
            return str(note["mark"]) if note["url"] == url and note["mark"] and self.size else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def begin(self, url: str, mark: str | None) -> None:
        """Start a new file."""
        with self._disk():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_bytes(b"")
            self._note.write_text(json.dumps({"url": url, "mark": mark}), encoding="utf-8")

    def add(self, piece: bytes) -> None:
        """Append data."""
        with self._disk(), self.path.open("ab") as file:
            file.write(piece)

    def done(self) -> Path:
        """Rename the complete file to its target."""
        with self._disk():
            self.path.replace(self._target)
            self._note.unlink(missing_ok=True)
        return self._target

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Translate disk errors, which no retry would fix, to `ModelError`."""
        try:
            yield
        except OSError as exc:
            if exc.errno == errno.ENOSPC:
                raise disk_is_full(self.path.parent, None) from exc
            raise ModelError(f"{self.path}: cannot be written ({exc.strerror}); set agent.cache_dir") from exc


def _continue(url: str, part: _PartialFile, progress: Progress, timeout_s: float) -> None:
    """Continue a download to its end. Raises `BrokenError`, `ModelError`."""
    mark = part.mark(url)
    headers = {"User-Agent": f"gesture-agent/{__version__}", "Accept-Encoding": "identity"}
    if mark:
        headers |= {"Range": f"bytes={part.size}-", "If-Range": mark}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 (http and https, see `download`)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
            _receive(url, answer, part, progress)
    except urllib.error.HTTPError as exc:
        exc.close()
        if exc.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and part.size:
            part.begin(url, None)
            raise BrokenError("what was kept does not fit the server's file") from exc
        raise refused(url, exc.code) from exc
    except (urllib.error.URLError, OSError, http.client.HTTPException) as exc:
        raise unreachable(url, exc) from exc


def _receive(url: str, answer: http.client.HTTPResponse, part: _PartialFile, progress: Progress) -> None:
    headers = dict(answer.headers.items())
    if answer.status != HTTPStatus.PARTIAL_CONTENT or _start(headers) != part.size:
        part.begin(url, _mark(headers))
    total = _total(answer.status, headers, part.size)
    if (headers.get("Content-Type") or "").startswith("text/html"):
        raise ModelError(
            f"{url}: gives a page, not a file; does something between (a login of the network) answer?"
        )
    done = part.size
    progress(done, total)
    while piece := answer.read(PIECE_BYTES):
        part.add(piece)
        done += len(piece)
        progress(done, total)
    if total is not None and done < total:
        raise BrokenError(f"the line broke after {done:,} of {total:,} bytes")
    if total is not None and done > total:
        part.begin(url, None)
        raise BrokenError(f"the server sent {done:,} bytes and had announced {total:,}")


def _mark(headers: Mapping[str, str]) -> str | None:
    """Strong ETag, else the date: validators that If-Range accepts (RFC 9110)."""
    etag = headers.get("ETag") or ""
    return etag if etag.startswith('"') else headers.get("Last-Modified")


def _start(headers: Mapping[str, str]) -> int | None:
    """START of "Content-Range: bytes START-END/TOTAL"."""
    return _bytes((headers.get("Content-Range") or "").removeprefix("bytes ").partition("-")[0])


def _total(status: int, headers: Mapping[str, str], kept: int) -> int | None:
    length = _bytes(headers.get("Content-Length") or "")
    if status == HTTPStatus.PARTIAL_CONTENT:
        total = _bytes((headers.get("Content-Range") or "").rpartition("/")[2])
        return total if total is not None or length is None else kept + length
    return length


def _bytes(text: str) -> int | None:
    """A count of bytes from a server; None where it is not there or makes no sense."""
    try:
        return read_int(text, 0)
    except ValueError:
        return None
