"""Frame sources: the `FrameSource` protocol, and the table of schemes that selects one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from agent.config import sources
from agent.core.redaction import redacted
from agent.errors import ConfigError

if TYPE_CHECKING:
    from agent.config.settings import CameraSettings
    from agent.core.frame_memory import FrameMemory
    from agent.core.types import Frame

Clock = Callable[[], float]
"""Clock that returns monotonic seconds."""

SCHEMES = {
    "v4l2": "agent.capture.v4l2:V4l2Camera",
    "rtsp": "agent.capture.ffmpeg_stream:FfmpegStream",
    "rtsps": "agent.capture.ffmpeg_stream:FfmpegStream",
    "http": "agent.capture.mjpeg:HttpStream",
    "https": "agent.capture.mjpeg:HttpStream",
    "gst": "agent.capture.gstreamer:GstPipeline",
    "csi": "agent.capture.gstreamer:CsiCamera",
    "file": "agent.capture.video:VideoFile",
    "folder": "agent.capture.folder:ImageFolder",
}
RAW_SCHEMES = {"gst", "csi"}  # those that read raw pixels
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


@dataclass(frozen=True, slots=True)
class NegotiatedFormat:
    """Image size in px and frame rate that a source delivers (0: unknown); may differ from the settings."""

    width: int
    height: int
    fps: float

    def __str__(self) -> str:
        return f"{self.width}x{self.height}" + (f" at {self.fps:g}/s" if self.fps else "")


class FrameSource(Protocol):
    """Protocol of a camera, stream, file or folder. Used by one thread, except for `interrupt`."""

    live: bool
    """True: a frame that is not read is lost; its time is that of its arrival."""

    @property
    def skipped(self) -> int:
        """Number of damaged images skipped since `open`."""

    def open(self) -> NegotiatedFormat:
        """Open the source. Raises `SourceLost`, whose text says what was seen and what to do."""

    def read(self) -> Frame:
        """Wait for the next frame. Raises `SourceLost`, or `EndOfSource` at the end of a file."""

    def skip(self) -> float:
        """Wait for the next frame like `read`, drop it at least cost, and return its `at`."""

    def close(self) -> None:
        """Release the device; may be called twice, or without `open`."""

    def interrupt(self) -> None:
        """Make a waiting `read` return soon where the source can; called from another thread."""


def scheme_of(source: str) -> str:
    """Return the key of `SCHEMES` for a source; a path is "file" or "folder", under /dev "v4l2".

    Raises `ConfigError` for an unknown scheme.
    """
    scheme = sources.scheme(source)
    if scheme is None:
        if source.startswith("/dev/"):
            return "v4l2"
        return "folder" if _holds_images(Path(source)) else "file"
    if scheme in SCHEMES and source[len(scheme) + 1 :]:
        path = sources.local_path(source)
        return "folder" if path and _holds_images(path) else scheme
    known = (
        '"v4l2:/dev/video0", "csi:0", "rtsp://...", "http://...", "gst:PIPELINE", a video file or a folder'
    )
    raise ConfigError(
        f'source "{public_name(source)}": no such kind of source; expected one like {known}; '
        'a file whose name holds a colon is written "./NAME"'
    )


def _holds_images(path: Path) -> bool:
    # Path.is_dir raises where a folder above cannot be entered; that is told by who opens it.
    return os.path.isdir(path) or path.suffix.lower() in IMAGE_SUFFIXES  # noqa: PTH112


def open_source(
    settings: CameraSettings,
    camera: str,
    clock: Clock = time.monotonic,
    *,
    pace: bool = True,
    memory: FrameMemory | None = None,
) -> FrameSource:
    """Build the source that the settings name, without opening it. Raises `ConfigError`.

    With `pace=False`, for replays, files, folders and pipelines deliver all frames as fast as they are read,
    with times that start at 0; cameras and network streams ignore it. Pipelines read their frames into
    `memory`; what other sources decode lies in memory of their own.
    """
    scheme = scheme_of(settings.source)
    module, _, name = SCHEMES[scheme].partition(":")
    build = getattr(import_module(module), name)
    raw = {"memory": memory} if scheme in RAW_SCHEMES else {}
    return cast("FrameSource", build(settings, camera, clock, pace=pace, **raw))


def settings_of(source: str, **given: Any) -> CameraSettings:
    """Build the settings of a source given on the command line. Raises `ConfigError`."""
    from agent.config.settings import CameraSettings  # noqa: PLC0415 (commands start without pydantic)

    try:
        return CameraSettings(source=source, **given)
    except ValueError as exc:
        errors: list[dict[str, Any]] = getattr(exc, "errors", list)()
        said = [str(error.get("ctx", {}).get("error", error["msg"])) for error in errors]
        raise ConfigError(f"--source {public_name(source)}: {'; '.join(said)}") from None


def public_name(source: str) -> str:
    """Return the source without secrets, for logs, states and error texts."""
    return redacted(source.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
