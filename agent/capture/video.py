"""Source that plays a video file by its own timestamps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import av
import structlog

from agent.capture.decoding import FrameConverter, decoder_options, frames_a_second
from agent.capture.framing import Framing
from agent.capture.pacing import Pacing
from agent.capture.source import Clock, NegotiatedFormat
from agent.capture.timeline import Timeline
from agent.config.sources import local_path, shown
from agent.errors import EndOfSource, SourceLost, UnreadablePicture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config.settings import CameraSettings
    from agent.core.types import Frame

MISSING_SHARE = 0.02  # of the duration; containers estimate it, so less is no damage
MISSING_S = 0.2
NO_FILM = frozenset({"tty"})  # FFmpeg formats that render any text file as video
LOCAL_ONLY = "file,crypto,data"  # FFmpeg protocols: a playlist must not cause network access

log = structlog.get_logger()


class VideoFile:
    """Video file; a truncated file ends early, with a warning instead of an error."""

    live = False

    def __init__(self, settings: CameraSettings, camera: str, clock: Clock, *, pace: bool) -> None:
        self.skipped = 0
        self._path = local_path(settings.source) or Path(settings.source)
        self._name = shown(self._path)
        self._settings = settings
        self._framing = Framing(settings, camera)
        self._pacing = Pacing(clock, pace=pace)
        self._container: av.container.InputContainer | None = None
        self._pictures: Iterator[av.VideoFrame] = iter(())
        self._timeline = Timeline(settings.fps)
        self._fps = settings.fps
        self._to_picture: FrameConverter | None = None
        self._frames = 0  # since the file was opened
        self._expected_s = 0.0
        self._round_s = 0.0  # start time of the current repetition of a loop
        self._black = True  # whether all images of this repetition are black

    def open(self) -> NegotiatedFormat:
        """Open the file and return its format. Raises `SourceLost`."""
        self._round_s = 0.0
        self.skipped = 0
        self._pacing.restart()
        stream = self._open_file()
        return NegotiatedFormat(stream.width, stream.height, self._fps)

    def _open_file(self) -> av.VideoStream:
        self.close()
        _check_readable(self._path)
        options = {**decoder_options(self._settings.max_pixels), "protocol_whitelist": LOCAL_ONLY}
        try:
            container = av.open(f"file:{self._path}", options=options)
        except (av.FFmpegError, ValueError) as exc:
            raise self._no_video() from exc
        if not container.streams.video or container.format.name in NO_FILM:
            kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
            container.close()
            raise SourceLost(f"{self._name}: holds no pictures ({kinds}); name a video file")
        self._container = container
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.options = decoder_options(self._settings.max_pixels)
        self._fps = frames_a_second(stream, self._settings.fps)
        self._to_picture = FrameConverter(stream, self._settings)
        self._timeline = Timeline(self._fps)
        self._expected_s = _length_s(stream, self._fps)
        self._frames = 0
        self._black = True
        self._pictures = self._decoded(container, stream)
        return stream

    def _no_video(self) -> SourceLost:
        return SourceLost(
            f"{self._name}: not a video that can be read ({self._path.stat().st_size} bytes); "
            "a recording that was cut off may lack its index: record again, or mend it with ffmpeg"
        )

    def _decoded(
        self, container: av.container.InputContainer, stream: av.VideoStream
    ) -> Iterator[av.VideoFrame]:
        """All decodable frames; damaged ones are counted. A truncated file ends early."""
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, ValueError):
                return
            if packet is None:
                return
            try:
                yield from packet.decode()
            except (av.FFmpegError, ValueError):
                self.skipped += 1

    def read(self) -> Frame:
        """Return the next frame at its time.

        Raises `EndOfSource` after the last frame, `SourceLost` where none can be decoded.
        """
        frame = self._next()
        assert self._to_picture is not None  # noqa: S101 (open)
        try:
            image = self._to_picture.convert(frame)
        except UnreadablePicture as exc:
            raise SourceLost(f"{self._name}: {exc}; raise it, or make the film smaller") from exc
        self._black = self._black and not image.any()
        return self._framing.frame(image, self._due(frame), square=True)

    def skip(self) -> float:
        """Decode the next frame, which later ones need, without converting it; return its time."""
        return self._due(self._next())

    def _next(self) -> av.VideoFrame:
        while self._container is not None:
            frame = next(self._pictures, None)
            if frame is not None:
                return frame
            self._end()
        raise SourceLost(f"{self._name}: is not open")

    def _due(self, frame: av.VideoFrame) -> float:
        """Wait until a decoded frame is due; return its time."""
        self._frames += 1
        return self._pacing.due(self._round_s + self._timeline.time_of(frame.time))

    def _end(self) -> None:
        """Start again where `loop` is set; raises `EndOfSource` where not."""
        played_s = self._timeline.time_s + 1 / self._fps
        if not self._frames:
            raise SourceLost(
                f"{self._name}: none of its pictures can be decoded ({self.skipped} tried); it is damaged, "
                f"or larger than max_pixels = {self._settings.max_pixels:_}"
            )
        if self._expected_s - played_s > max(MISSING_S, MISSING_SHARE * played_s):
            log.warning(
                "video_cut_off",
                source=self._name,
                frames_read=self._frames,
                frames_expected=round(self._expected_s * self._fps),
            )
        if self._black:
            fix = "look at it with a player; if it shows something there, convert it with ffmpeg"
            log.warning("video_black", source=self._name, frames=self._frames, fix=fix)
        if not self._settings.loop:
            raise EndOfSource(f"{self._name}: played to its end ({self._frames} frames)")
        self._round_s += played_s
        self._open_file()

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._container is not None:
            self._pictures = iter(())
            self._container.close()
        self._container = None

    def interrupt(self) -> None:
        """End the wait for the next frame's time, from another thread."""
        self._pacing.interrupt()


def _length_s(stream: av.VideoStream, fps: float) -> float:
    """Duration by number of frames, else by the container; 0 where unknown."""
    if stream.frames:
        return stream.frames / fps
    return float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0


def _check_readable(path: Path) -> None:
    """Raise `SourceLost` where a path is missing, unreadable, empty, or a pipe or device."""
    try:
        if path.exists() and not path.is_file():
            raise SourceLost(f"{shown(path)}: is no regular file; name a video file, or a folder of images")
        with path.open("rb") as file:
            if file.read(1):
                return
    except OSError as exc:
        raise SourceLost(f"{shown(path)}: {exc.strerror}; name a video file, or a folder of images") from exc
    raise SourceLost(f"{shown(path)}: is empty (0 bytes); record it again")
