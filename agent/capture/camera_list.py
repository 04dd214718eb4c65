"""Lists the cameras of this machine, and says of each why it cannot be opened."""

from __future__ import annotations

import errno
import getpass
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.capture.v4l2_query import VideoDevice, VideoMode, query_device

LIKED_FPS = 24.0  # a mode that is slower is not the one to show first


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """One camera. `problem` says why it cannot be opened now, and what to do; None: it can."""

    device: str  # /dev/video0
    source: str  # as written in the settings; by the camera's own id where the system knows one
    name: str
    driver: str = ""
    bus: str = ""
    modes: tuple[VideoMode, ...] = ()
    used_by: tuple[str, ...] = ()  # "PID NAME"
    problem: str | None = None

    @property
    def best_mode(self) -> VideoMode | None:
        """The largest that is fast enough for gestures, at most 1280 x 720; else the first."""
        fast = [m for m in self.modes if m.fps >= LIKED_FPS and m.width <= 1280 and m.height <= 720]
        return max(fast, key=lambda mode: mode.width * mode.height, default=next(iter(self.modes), None))


def list_cameras(
    root: Path = Path("/"), query: Callable[[Path], VideoDevice] = query_device
) -> list[CameraInfo]:
    """Every camera of the kernel in the order of its number, without nodes that give only metadata."""
    return [
        camera
        for device in sorted((root / "dev").glob("video*"), key=_number)
        if (camera := _camera(device, root, query)) is not None
    ]


def without_cameras(root: Path = Path("/"), *, files: bool = True) -> str:
    """Why the list may be empty, and what to do; `files`: a video file may be named in their place."""
    names = sorted(path.read_text().strip() for path in (root / "sys/class/video4linux").glob("*/name"))
    if names and not any((root / "dev").glob("video*")):
        return (
            f"the kernel has {', '.join(names)}, but no /dev/video* is here: this is a container without "
            "them; start it with --device /dev/video0"
        )
    return (
        "no camera of this machine was found; plug one in (in a virtual machine or a container: hand it in), "
        'or name another source: "rtsp://..", "http://.." (MJPEG), "csi:0"'
        f"{', a video file' if files else ''}"
    )


def _camera(device: Path, root: Path, query: Callable[[Path], VideoDevice]) -> CameraInfo | None:
    source = f"v4l2:{_stable_name(device, root)}"
    try:
        found = query(device)
    except OSError as exc:
        name = _kernel_name(device, root)
        users = tuple(users_of(device, root))
        return CameraInfo(str(device), source, name, used_by=users, problem=_why(device, exc, users))
    if not found.captures:
        return None
    users = tuple(users_of(device, root))
    problem = _in_use(device, users) if found.busy else None
    return CameraInfo(str(device), source, found.name, found.driver, found.bus, found.modes, users, problem)


def _why(device: Path, exc: OSError, users: tuple[str, ...]) -> str:
    if exc.errno in {errno.EACCES, errno.EPERM}:
        user = getpass.getuser()
        return (
            f"user {user} may not open it; run: sudo usermod -aG video {user}, and log in again "
            "(in a container: --group-add video)"
        )
    if exc.errno == errno.EBUSY:
        return _in_use(device, users)
    if exc.errno in {errno.ENODEV, errno.ENXIO, errno.ENOENT}:
        return "is gone; plug it in again"
    if exc.errno == errno.ENOTTY:
        return "is no camera of the kernel (V4L2)"
    return f"cannot be opened: {exc.strerror}"


def _in_use(device: Path, users: tuple[str, ...]) -> str:
    who = ", ".join(users) or f"another program (sudo fuser -v {device} says which)"
    return f"in use by {who}; end that, a camera serves one program at a time"


def users_of(device: Path, root: Path = Path("/")) -> Iterator[str]:
    """Every other process that has it open, as "PID NAME"; without root only those of the same user."""
    wanted = str(device)
    for process in sorted((root / "proc").glob("[0-9]*"), key=_number):
        if process.name == str(os.getpid()):
            continue
        try:
            opened = any(str(link.readlink()) == wanted for link in (process / "fd").iterdir())
            name = (process / "comm").read_text().strip() if opened else ""
        except OSError:  # another user's, or over meanwhile
            continue
        if opened:
            yield f"{process.name} {name}"


def _kernel_name(device: Path, root: Path) -> str:
    try:
        return (root / "sys/class/video4linux" / device.name / "name").read_text().strip()
    except OSError:
        return ""


def _stable_name(device: Path, root: Path) -> Path:
    """A name that stays when cameras are plugged in another order, where udev made one."""
    links = sorted((root / "dev/v4l/by-id").glob("*"))
    return next((link for link in links if link.resolve() == device.resolve()), device)


def _number(path: Path) -> tuple[int, str]:
    digits = "".join(filter(str.isdecimal, path.name))
    return int(digits or 0), path.name
