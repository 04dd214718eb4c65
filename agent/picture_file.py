"""Reading of image files; the only place that does, so that no path ever reaches OpenCV.

OpenCV crashes with a segmentation fault for names that are not UTF-8, allocates whatever a header
claims, and fills a truncated JPEG with grey.
"""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import imagesize
import numpy as np

from agent.core.types import Image
from agent.errors import UnreadablePicture

MAX_PIXELS = 50_000_000  # 150 MB decoded; photographs of phones have 12 to 50 million
MAX_BYTES = 500_000_000  # of a file

_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a length field
_START, _END, _SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA  # JPEG markers; ITU T.81, table B.1


def read_picture(path: Path, max_pixels: int = MAX_PIXELS) -> Image:
    """Read an image as uint8 (H, W, 3) BGR, rotated by its EXIF. Raises `OSError` and `UnreadablePicture`."""
    if not path.is_file():
        if path.exists():
            raise UnreadablePicture("is no file")
        path.stat()  # raises what is wrong
    if path.stat().st_size > MAX_BYTES:
        raise UnreadablePicture(f"is larger than {MAX_BYTES / 1e6:.0f} MB")
    return decode_picture(path.read_bytes(), max_pixels)


def picture_size(path: Path) -> tuple[int, int] | None:
    """Return (width, height) from the header of a file; None where it has none."""
    try:
        with path.open("rb") as file:
            width, height = imagesize.get(file)
    except Exception:  # noqa: BLE001 (whatever a damaged header causes)
        return None
    return (int(width), int(height)) if width > 0 and height > 0 else None


def decode_picture(data: bytes, max_pixels: int = MAX_PIXELS) -> Image:
    """Decode an image to uint8 (H, W, 3) BGR, rotated by its EXIF. Raises `UnreadablePicture`.

    Trailing bytes are ignored, as all decoders do.
    """
    if not data:
        raise UnreadablePicture("is empty (0 bytes)")
    check_size(*_size(data), max_pixels)
    if is_cut_off(data):
        raise UnreadablePicture("is a JPEG that was cut off")
    image = _decoded(data, cv2.IMREAD_COLOR)
    if image is None:
        raise UnreadablePicture("is damaged, or no picture")
    return image


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise `UnreadablePicture` for more than `max_pixels` pixels."""
    if width * height > max_pixels:
        raise UnreadablePicture(f"has {width} x {height} pixels, more than max_pixels = {max_pixels:_}")


def is_cut_off(data: bytes) -> bool:
    """Return whether it is a JPEG without its end marker, which cannot occur inside the coded image data."""
    if not data.startswith(_START):
        return False
    scan = scan_of(data, 0)
    return scan is None or (scan > 0 and data.find(_END, scan) < 0)


def scan_of(data: bytes | bytearray, begin: int) -> int | None:
    """Return the offset of the coded image data of the JPEG at `begin`.

    None when the bytes end before it, -1 when they are no JPEG header.
    """
    at = begin + len(_START)
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return -1
        kind = data[at + 1]
        if kind == _SCAN:
            return at
        if kind == 0xFF:  # fill bytes
            at += 1
        elif kind in _ALONE:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _size(data: bytes) -> tuple[int, int]:
    """(width, height) from the header; else from a decoding at an eighth of the size."""
    try:
        width, height = imagesize.get(io.BytesIO(data))
    except Exception:  # noqa: BLE001 (whatever a damaged header causes)
        width = height = -1
    if width > 0 and height > 0:
        return int(width), int(height)
    small = _decoded(data, cv2.IMREAD_REDUCED_COLOR_8)
    return (0, 0) if small is None else (8 * small.shape[1], 8 * small.shape[0])


def _decoded(data: bytes, how: int) -> Image | None:
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    except cv2.error:  # sizes that no image has
        return None
    return None if image is None else np.asarray(image, np.uint8)
