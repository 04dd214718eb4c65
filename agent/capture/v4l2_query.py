"""Queries of the Video4Linux2 API: what a camera of the kernel is called and which formats it gives.

Structures and request numbers are those of linux/videodev2.h; nothing of a device is changed.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

CAPTURE, CAPTURE_MPLANE, DEVICE_CAPS = 0x1, 0x1000, 0x8000_0000  # of v4l2_capability
MEMORY_MMAP = 1
DISCRETE = 1  # of v4l2_frmsizetypes and v4l2_frmivaltypes; the others are ranges
MOST = 64  # formats, sizes and rates read of one device: drivers that never end their list exist

Ioctl: TypeAlias = Callable[[int, ctypes.Structure], None]
"""Request number and the structure that is filled. Raises `OSError`."""

_u32 = ctypes.c_uint32


class Capability(ctypes.Structure):
    """struct v4l2_capability."""

    _fields_ = (
        ("driver", ctypes.c_char * 16),
        ("card", ctypes.c_char * 32),
        ("bus_info", ctypes.c_char * 32),
        ("version", _u32),
        ("capabilities", _u32),
        ("device_caps", _u32),
        ("reserved", _u32 * 3),
    )


class FormatDescription(ctypes.Structure):
    """struct v4l2_fmtdesc."""

    _fields_ = (
        ("index", _u32),
        ("type", _u32),
        ("flags", _u32),
        ("description", ctypes.c_char * 32),
        ("pixelformat", _u32),
        ("mbus_code", _u32),
        ("reserved", _u32 * 3),
    )


class FrameSize(ctypes.Structure):
    """struct v4l2_frmsizeenum; `values` is its union: width, height; or least, most and step of each."""

    _fields_ = (
        ("index", _u32),
        ("pixel_format", _u32),
        ("type", _u32),
        ("values", _u32 * 6),
        ("reserved", _u32 * 2),
    )


class FrameInterval(ctypes.Structure):
    """struct v4l2_frmivalenum; `values` is its union: a fraction of a second, or shortest, longest, step."""

    _fields_ = (
        ("index", _u32),
        ("pixel_format", _u32),
        ("width", _u32),
        ("height", _u32),
        ("type", _u32),
        ("values", _u32 * 6),
        ("reserved", _u32 * 2),
    )


class RequestBuffers(ctypes.Structure):
    """struct v4l2_requestbuffers."""

    _fields_ = (
        ("count", _u32),
        ("type", _u32),
        ("memory", _u32),
        ("capabilities", _u32),
        ("flags", ctypes.c_uint8),
        ("reserved", ctypes.c_uint8 * 3),
    )


def _request(direction: int, number: int, structure: type[ctypes.Structure]) -> int:
    """_IOR and _IOWR of asm-generic/ioctl.h, type 'V'."""
    return direction << 30 | ctypes.sizeof(structure) << 16 | ord("V") << 8 | number


QUERYCAP = _request(2, 0, Capability)
ENUM_FMT = _request(3, 2, FormatDescription)
REQBUFS = _request(3, 8, RequestBuffers)
ENUM_FRAMESIZES = _request(3, 74, FrameSize)
ENUM_FRAMEINTERVALS = _request(3, 75, FrameInterval)


@dataclass(frozen=True, slots=True)
class VideoMode:
    """One size of one pixel format; `fps` is the highest frame rate, 0 where the driver does not say."""

    format: str  # FourCC, as in MJPG or YUYV
    width: int
    height: int
    fps: float

    def __str__(self) -> str:
        rate = f" at {self.fps:g}/s" if self.fps else ""
        return f"{self.format} {self.width}x{self.height}{rate}"


@dataclass(frozen=True, slots=True)
class VideoDevice:
    """What a device node says of itself. `captures`: it gives pictures; other nodes give metadata."""

    name: str
    driver: str
    bus: str
    captures: bool
    modes: tuple[VideoMode, ...]
    busy: bool  # another program streams from it


def query_device(path: Path) -> VideoDevice:
    """Return what a V4L2 device reports. Raises `OSError`: it cannot be opened, or is none (ENOTTY)."""
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return query(lambda request, structure: _ioctl(descriptor, request, structure))
    finally:
        os.close(descriptor)


def _ioctl(descriptor: int, request: int, structure: ctypes.Structure) -> None:
    fcntl.ioctl(descriptor, request, structure)


def query(ioctl: Ioctl) -> VideoDevice:
    """As `query_device`, of an open device."""
    found = Capability()
    ioctl(QUERYCAP, found)
    offers = found.device_caps if found.capabilities & DEVICE_CAPS else found.capabilities
    captures = bool(offers & (CAPTURE | CAPTURE_MPLANE))
    buffers = 1 if offers & CAPTURE else 9  # V4L2_BUF_TYPE_VIDEO_CAPTURE, .._MPLANE
    return VideoDevice(
        _text(found.card),
        _text(found.driver),
        _text(found.bus_info),
        captures,
        tuple(_modes(ioctl, buffers)) if captures else (),
        captures and _is_busy(ioctl, buffers),
    )


def _is_busy(ioctl: Ioctl, buffers: int) -> bool:
    """Releasing no buffers is refused while another program holds some."""
    try:
        ioctl(REQBUFS, RequestBuffers(count=0, type=buffers, memory=MEMORY_MMAP))
    except OSError as exc:
        return exc.errno == errno.EBUSY
    return False


def _modes(ioctl: Ioctl, buffers: int) -> Iterator[VideoMode]:
    for index in range(MOST):
        description = FormatDescription(index=index, type=buffers)
        if not _answers(ioctl, ENUM_FMT, description):
            return
        pixel_format = int(description.pixelformat)
        fourcc = (pixel_format & 0x7FFF_FFFF).to_bytes(4, "little").decode("latin-1").strip()
        for width, height in _sizes(ioctl, pixel_format):
            yield VideoMode(fourcc, width, height, _best_rate(ioctl, pixel_format, width, height))


def _sizes(ioctl: Ioctl, pixel_format: int) -> Iterator[tuple[int, int]]:
    for index in range(MOST):
        size = FrameSize(index=index, pixel_format=pixel_format)
        if not _answers(ioctl, ENUM_FRAMESIZES, size):
            return
        if size.type != DISCRETE:  # a range, told once: min, max and step of the width, then of the height
            yield size.values[1], size.values[4]
            return
        yield size.values[0], size.values[1]


def _best_rate(ioctl: Ioctl, pixel_format: int, width: int, height: int) -> float:
    """Frames a second; 0 where nothing is said."""
    best = 0.0
    for index in range(MOST):
        interval = FrameInterval(index=index, pixel_format=pixel_format, width=width, height=height)
        if not _answers(ioctl, ENUM_FRAMEINTERVALS, interval):
            break
        seconds, parts = interval.values[0], interval.values[1]
        best = max(best, parts / seconds if seconds else 0.0)
        if interval.type != DISCRETE:
            break
    return round(best, 2)


def _answers(ioctl: Ioctl, request: int, structure: ctypes.Structure) -> bool:
    """False at the end of a list, and where a driver does not know the question."""
    try:
        ioctl(request, structure)
    except OSError as exc:
        if exc.errno in {errno.EINVAL, errno.ENOTTY, errno.ENODATA}:
            return False
        raise
    return True


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").strip()
