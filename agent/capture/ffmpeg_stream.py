"""RTSP cameras, and everything else that FFmpeg reads from the network.

FFmpeg runs within the daemon, so every operation has a timeout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import av

from agent.capture.address import SourceAddress
from agent.capture.decoding import FrameConverter, decoder_options, explained, frames_a_second
from agent.capture.framing import Framing
from agent.capture.server import NO_ANSWER, check_reachable, why_refused
from agent.capture.source import Clock, NegotiatedFormat
from agent.errors import UnreadablePicture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config.settings import CameraSettings
    from agent.core.types import Frame

OPEN_TIMEOUT_S = 8.0  # decoding starts at a key frame, which cameras send every 1 to 5 s
MAX_DAMAGED = 60  # consecutive undecodable packets, a second or two, after which the stream is lost
FFMPEG_OPTIONS = {
    "rtsp_transport": "tcp",  # over UDP, packet loss damages images
    "tls_verify": "0",  # cameras use self-signed certificates
}


class FfmpegStream:
    """RTSP or other network camera read through FFmpeg; delivers the newest image at the server's pace.

    Where the server changes the size of its images, that of the frames changes too.
    """

    live = True

    def __init__(
        self,
        settings: CameraSettings,
        camera: str,
        clock: Clock,
        *,
        pace: bool,  # noqa: ARG002 (one signature for all sources)
    ) -> None:
        self.skipped = 0
        self._settings = settings
        self._address = SourceAddress(settings)
        self._clock = clock
        self._framing = Framing(settings, camera)
        self._container: av.container.InputContainer | None = None
        self._to_picture: FrameConverter | None = None
        self._frames: Iterator[av.VideoFrame] = iter(())

    def open(self) -> NegotiatedFormat:
        """Connect and return the stream's format.

        Raises `SourceLost`, whose text distinguishes an unknown host, no server, no such stream, a refused
        login and no data.
        """
        self.close()
        self.skipped = 0
        url = self._address.full()
        check_reachable(url, self._address.name)
        limit = decoder_options(self._settings.max_pixels)
        timeouts = (OPEN_TIMEOUT_S, max(self._settings.stall_timeout, 0.1))
        try:
            container = av.open(url, options={**FFMPEG_OPTIONS, **limit}, timeout=timeouts)
        except (av.FFmpegError, ValueError) as exc:
            raise self._address.lost(self._why_not_opened(url, exc)) from None  # its text repeats the URL
        if not container.streams.video:
            container.close()
            raise self._address.lost("sends no pictures, only sound or data; correct the path in the URL")
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"
        stream.codec_context.thread_count = 1  # frame threading adds one image of latency for each thread
        stream.codec_context.options = limit
        self._container = container
        self._to_picture = FrameConverter(stream, self._settings)
        self._frames = self._decoded(container, stream)
        return NegotiatedFormat(stream.width, stream.height, frames_a_second(stream, 0.0))

    def _decoded(
        self, container: av.container.InputContainer, stream: av.VideoStream
    ) -> Iterator[av.VideoFrame]:
        """Decoded frames until the stream ends or stalls; damaged packets are counted."""
        packets = container.demux(stream)
        damaged = 0
        while damaged < MAX_DAMAGED:
            packet = next(packets, None)
            if packet is None:
                return
            try:
                for frame in packet.decode():
                    damaged = 0
                    yield frame
            except (av.FFmpegError, ValueError):
                damaged += 1
                self.skipped += 1

    def read(self) -> Frame:
        """Return the next frame; FFmpeg's timeouts bound the wait. Raises `SourceLost`."""
        frame, at = self._next()
        assert self._to_picture is not None  # noqa: S101 (open)
        try:
            image = self._to_picture.convert(frame)
        except UnreadablePicture as exc:
            raise self._address.lost(
                f"a picture {exc}; raise it, or choose a smaller stream of the camera"
            ) from exc
        return self._framing.frame(image, at, square=True)

    def skip(self) -> float:
        """Decode the next frame, which later ones need, without converting it; return its time."""
        return self._next()[1]

    def _next(self) -> tuple[av.VideoFrame, float]:
        """The next decoded frame and its arrival time. Raises `SourceLost`."""
        if self._to_picture is None:
            raise self._address.lost("is not open")
        try:
            frame = next(self._frames, None)
        except (av.FFmpegError, ValueError) as exc:
            raise self._address.lost(self._stopped(exc)) from None
        if frame is None:
            raise self._address.lost(self._stopped(None))
        return frame, self._clock()

    def _why_not_opened(self, url: str, error: Exception) -> str:
        if not url.startswith("http") and (refused := why_refused(url)):
            return refused
        if isinstance(error, av.error.ExitError):
            return NO_ANSWER
        return f"sends what cannot be played ({explained(error)}); correct the path or the video format"

    def _stopped(self, error: Exception | None) -> str:
        said = "" if error is None or isinstance(error, av.error.ExitError) else f", {explained(error)}"
        return (
            "the stream stopped (ended by the server, or silent for "
            f"{self._settings.stall_timeout:g} s{said}); check the camera's power and network"
        )

    def close(self) -> None:
        """Close the connection; may be called twice."""
        self._frames, self._to_picture = iter(()), None
        if self._container is not None:
            self._container.close()
        self._container = None

    def interrupt(self) -> None:
        """Do nothing: FFmpeg cannot be interrupted; its own timeouts end the wait."""
