"""Where frames come from: one protocol, and a table from the scheme of `source` to what reads it."""

from __future__ import annotations

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
    from agent.core.types import Frame

Clock = Callable[[], float]
"""Monotonic seconds."""

SCHEMES = {
    "v4l2": "agent.capture.v4l2:V4l2Camera",
    "rtsp": "agent.capture.stream:FfmpegStream",
    "rtsps": "agent.capture.stream:FfmpegStream",
    "http": "agent.capture.mjpeg:HttpStream",
    "https": "agent.capture.mjpeg:HttpStream",
    "gst": "agent.capture.gstreamer:GstPipeline",
    "csi": "agent.capture.gstreamer:CsiCamera",
    "file": "agent.capture.video:VideoFile",
    "folder": "agent.capture.folder:ImageFolder",
}
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


@dataclass(frozen=True, slots=True)
class NegotiatedFormat:
    """What a source gives, which may differ from what was asked: pixels, and frames a second (0: unknown)."""

    width: int
    height: int
    fps: float

    def __str__(self) -> str:
        return f"{self.width}x{self.height}" + (f" at {self.fps:g}/s" if self.fps else "")


class FrameSource(Protocol):
    """One camera, stream, file or folder. Used by one thread, but for `interrupt`."""

    live: bool
    """True: frames that nobody takes are gone; the time of a frame is the moment it arrived."""

    @property
    def skipped(self) -> int:
        """Damaged pictures that were left out since `open`."""

    def open(self) -> NegotiatedFormat:
        """Start it. Raises `SourceLost` (text: what was seen, what to do)."""

    def read(self) -> Frame:
        """Wait for the next frame. Raises `SourceLost`, or `EndOfSource` at the end of a file."""

    def close(self) -> None:
        """Let go of the device; safe to call twice, or without `open`."""

    def interrupt(self) -> None:
        """Called from another thread: make a waiting `read` return soon, as far as the source can."""


def scheme_of(source: str) -> str:
    """Key of `SCHEMES` for a source as in the settings; a path is "file", "folder", or under /dev "v4l2".

    Raises `ConfigError` for a scheme that nobody knows.
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
    return path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES


def open_source(
    settings: CameraSettings, camera: str, clock: Clock = time.monotonic, *, pace: bool = True
) -> FrameSource:
    """The source that the settings name, not opened yet.

    `pace=False` is for replaying: a file, a folder or a pipeline gives all its frames as fast as they
    are read, with times that start at 0; cameras and network streams know no such thing and ignore it.
    Raises `ConfigError`.
    """
    module, _, name = SCHEMES[scheme_of(settings.source)].partition(":")
    build = getattr(import_module(module), name)
    return cast("FrameSource", build(settings, camera, clock, pace=pace))


def settings_of(source: str, **given: Any) -> CameraSettings:
    """Settings of a source that was named on the command line. Raises `ConfigError`."""
    from agent.config.settings import CameraSettings  # noqa: PLC0415 (commands start without pydantic)

    try:
        return CameraSettings(source=source, **given)
    except ValueError as exc:
        errors: list[dict[str, Any]] = getattr(exc, "errors", list)()
        said = [str(error.get("ctx", {}).get("error", error["msg"])) for error in errors]
        raise ConfigError(f"--source {public_name(source)}: {'; '.join(said)}") from None


def public_name(source: str) -> str:
    """The source without the secrets it may carry, for logs, states and error texts."""
    return redacted(source.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
