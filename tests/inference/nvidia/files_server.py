"""A real HTTP server of one file on the loopback, with the faults of the world on request."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Served:
    """What is served and how badly. `requests` are the Range headers in order, None for none."""

    content: bytes
    cuts: list[int] = field(default_factory=list)  # for each request in turn: bytes until the line is cut
    answers: list[int] = field(default_factory=list)  # for each request in turn: a status instead
    ranges: bool = True
    length: bool = True
    etag: str | None = None  # None: of the content; "": none
    kind: str = "application/octet-stream"
    requests: list[str | None] = field(default_factory=list)
    redirect: str | None = None
    before: Callable[[], None] = lambda: None

    @property
    def mark(self) -> str:
        """The ETag."""
        return f'"{hashlib.md5(self.content).hexdigest()}"' if self.etag is None else self.etag  # noqa: S324


class _Handler(http.server.BaseHTTPRequestHandler):
    served: Served

    def do_GET(self) -> None:
        said = self.served
        said.requests.append(self.headers.get("Range"))
        said.before()
        if said.redirect and self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", said.redirect)
            self.end_headers()
            return
        if said.answers:
            status = said.answers.pop(0)
            if status != 200:
                self.send_error(status)
                return
        start = self._start()
        if start >= len(said.content) > 0 and start:
            self.send_error(416)
            return
        body = said.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", said.kind)
        if said.mark:
            self.send_header("ETag", said.mark)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(said.content) - 1}/{len(said.content)}")
        if said.length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = said.cuts.pop(0) if said.cuts else len(body)
        with suppress(ConnectionError):  # the reader may have left
            self.wfile.write(body[:cut])
        self.close_connection = True

    def _start(self) -> int:
        asked = self.headers.get("Range")
        same = self.headers.get("If-Range") == self.served.mark
        return int(asked[6:-1]) if asked and same and self.served.ranges else 0

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(served: Served) -> Iterator[str]:
    """The address of the file; `/moved` leads elsewhere."""
    handler = type("Handler", (_Handler,), {"served": served})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
