"""Finds JPEGs in a stream of bytes, whatever stands between them. Pure.

Cameras disagree about multipart/x-mixed-replace: the first boundary, its dashes, line ends, lengths and types
of parts are missing or wrong in one firmware or another. A JPEG shows by itself where it begins and ends, so
nothing else is looked at; a picture is complete with its last byte, not with the next boundary.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.picture_file import scan_of

START, END = b"\xff\xd8\xff", b"\xff\xd9"
MOST_BYTES = 64_000_000  # of one picture; more is no JPEG


class JpegSplitter:
    """Bytes in, whole JPEGs out."""

    def __init__(self) -> None:
        self.cut_off = 0  # pictures that stopped in the middle
        self._bytes = bytearray()
        self._looked = 0  # up to here no end was found

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The JPEGs that are complete now."""
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
        """Where the picture at the front ends; 0: not here yet; below 0: cut off, minus that is the next."""
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
