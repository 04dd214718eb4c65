"""Layout of raw frames as GStreamer writes them: how many bytes, and which of them are which pixel.

GStreamer's caps describe a frame, such as `video/x-raw, format=(string)NV12, colorimetry=(string)bt709, ...`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.core.nv12 import BT601, BT709, Nv12Image, YuvColour, rows_of
from agent.errors import SourceLost

if TYPE_CHECKING:
    from agent.core.frame_memory import PixelFormat
    from agent.core.types import Image, Pixels

BYTES: dict[PixelFormat, int] = {"BGR": 3, "BGRx": 4, "NV12": 1}  # of a pixel in a row
ROW_BYTES = 4  # GStreamer pads rows to a multiple of this
SD_LINES = 576  # up to here BT.601 where a stream does not say (gst_video_info_set_format), beyond BT.709
NAMED = {  # of gstvideo's colorimetry; each with limited range
    "bt601": "2:4:16:4", "bt709": "2:3:5:1", "smpte240m": "2:5:8:7", "bt2020": "2:6:13:7",
    "bt2020-10": "2:6:14:7", "bt2100-pq": "2:6:15:7", "bt2100-hlg": "2:6:16:7",
}  # fmt: skip
FULL_RANGE = "1"  # GST_VIDEO_COLOR_RANGE_0_255
SHARES = {  # of red and blue in Y, by GstVideoColorMatrix
    "2": (0.30, 0.11), "3": (0.2126, 0.0722), "4": (0.299, 0.114), "5": (0.212, 0.087), "6": (0.2627, 0.0593),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RawLayout:
    """How a frame of `width` x `height` px lies in memory. `colour` is that of NV12."""

    format: PixelFormat
    width: int
    height: int
    colour: YuvColour = BT601

    @property
    def row_bytes(self) -> int:
        """Bytes from one row to the next."""
        return -(-self.width * BYTES[self.format] // ROW_BYTES) * ROW_BYTES

    @property
    def nbytes(self) -> int:
        """Bytes of a frame."""
        return self.row_bytes * (rows_of(self.height) if self.format == "NV12" else self.height)

    def pixels(self, memory: Image) -> Pixels:
        """Return the image in uint8 (nbytes,), without a copy."""
        rows = memory.reshape(-1, self.row_bytes)
        if self.format == "NV12":
            return Nv12Image(rows, self.height, self.width, self.colour)
        size = BYTES[self.format]
        return rows[:, : self.width * size].reshape(len(rows), self.width, size)[..., :3]


def layout_of(caps: str, width: int, height: int) -> RawLayout:
    """Return the layout that caps describe. Raises `SourceLost` for pixels that nobody asked for."""
    fields = dict(re.findall(r"([\w-]+)=(?:\(\w+\))?\"?([^\",; ]+)", caps))
    for known in BYTES:
        if fields.get("format") == known:
            return RawLayout(known, width, height, colour_of(fields.get("colorimetry", ""), height))
    raise SourceLost(f"GStreamer gives {caps!r}, wanted is one of {', '.join(BYTES)}")


def colour_of(colorimetry: str, height: int) -> YuvColour:
    """Return what GStreamer's colorimetry says of NV12, `bt709` or `range:matrix:transfer:primaries`.

    What it does not say is as GStreamer assumes: by the number of lines, limited range.
    """
    usual = BT601 if height <= SD_LINES else BT709
    span, _, rest = NAMED.get(colorimetry, colorimetry).partition(":")
    red, blue = SHARES.get(rest.partition(":")[0], (usual.red, usual.blue))
    return YuvColour(red, blue, full_range=span == FULL_RANGE)
