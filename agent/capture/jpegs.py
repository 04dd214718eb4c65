"""Extraction of JPEGs from a byte stream. Pure.

Cameras differ in their multipart/x-mixed-replace: first boundary, dashes, line ends, lengths or types of
parts are missing or wrong in some firmware. JPEG markers alone delimit an image, so nothing else is parsed,
and an image is complete with its last byte rather than with the next boundary.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.picture_file import scan_of

START, END = b"\xff\xd8\xff", b"\xff\xd9"
MOST_BYTES = 64_000_000  # of one image; more is not a JPEG


class JpegSplitter:
    """Incremental splitter: bytes in, complete JPEGs out."""

    def __init__(self) -> None:
        self.cut_off = 0  # truncated images
        self._bytes = bytearray()
        self._looked = 0  # no end marker before this offset

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add bytes and yield the JPEGs that are now complete."""
        self._bytes += data
        while picture := self._next():
            yield picture

    def _next(self) -> bytes | None:
        while True:
            begin = self._bytes.find(START)
            if begin < 0:
                self._drop(len(self._bytes) - len(START) + 1)
                return None
            self._drop(begin)
            end = self._end()
            if end > 0:
                picture = bytes(self._bytes[:end])
                self._drop(end)
                return picture
            if end == 0:
                if len(self._bytes) > MOST_BYTES:
                    self._drop(len(START))
                return None
            self.cut_off += 1
            self._drop(-end)

    def _end(self) -> int:
        """End offset of the first image; 0: incomplete; negative: truncated, minus the offset of the next."""
        scan = scan_of(self._bytes, 0)
        if scan is None:
            return 0
        if scan < 0:
            return -len(START)
        begin = max(scan, self._looked)
        end = self._bytes.find(END, begin)
        following = self._bytes.find(START, begin, end if end > 0 else len(self._bytes))
        if following > 0:
            return -following
        self._looked = max(len(self._bytes) - len(END), 0)
        return end + len(END) if end > 0 else 0

    def _drop(self, count: int) -> None:
        if count > 0:
            del self._bytes[:count]
            self._looked = 0
