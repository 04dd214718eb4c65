"""RTSP, and MJPEG over HTTP, through the FFmpeg inside OpenCV.

FFmpeg runs inside the daemon, so it gets a timeout for everything it may wait for. What OpenCV keeps
to itself (it says only that a stream did not open) is found out by asking the server once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

from agent.capture.framing import Framing
from agent.capture.opencv import FFMPEG, LiveCapture, prepare
from agent.capture.server import check_reachable, why_refused
from agent.capture.source import Clock, Granted, public_name
from agent.errors import SourceLost

if TYPE_CHECKING:
    from agent.config.settings import CameraSettings
    from agent.core.types import Frame

OPEN_TIMEOUT_MS = 8_000  # the stream starts at the next key frame, which cameras send every 1 to 5 s
ONE_THREAD = 1  # FFmpeg's frame threads would hold back as many pictures as there are threads


class NetworkStream:
    """A camera on the network; the newest picture, whatever the server's speed.

    Where the server changes the size in the middle, OpenCV scales to the size of the start.
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
        self._settings = settings
        self._name = public_name(settings.source)
        self._stall_s = settings.stall
        self._clock = clock
        self._framing = Framing(settings, camera)
        self._capture: LiveCapture | None = None

    @property
    def skipped(self) -> int:
        """Pictures that could not be decoded."""
        return self._capture.damaged if self._capture else 0

    def open(self) -> Granted:
        """As `FrameSource.open`: tells apart no host, no server, no such stream, a login and silence."""
        self.close()
        prepare()
        url = self._address()
        check_reachable(url)
        capture = cv2.VideoCapture(
            url,
            FFMPEG,
            [
                *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS),
                *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, max(round(self._stall_s * 1000), 100)),
                *(cv2.CAP_PROP_N_THREADS, ONE_THREAD),
            ],
        )
        if not capture.isOpened():
            raise SourceLost(f"{self._name}: {why_refused(url)}")
        live = self._capture = LiveCapture(capture, self._clock)
        width, height = live.get(cv2.CAP_PROP_FRAME_WIDTH), live.get(cv2.CAP_PROP_FRAME_HEIGHT)
        return Granted(int(width), int(height), live.get(cv2.CAP_PROP_FPS))

    def _address(self) -> str:
        try:
            return self._settings.address()
        except (OSError, UnicodeDecodeError) as exc:
            raise SourceLost(f"{self._name}: its password file cannot be read ({exc})") from exc

    def read(self) -> Frame:
        """As `FrameSource.read`; waits at most `stall` seconds."""
        if self._capture is None:
            raise SourceLost(f"{self._name}: is not open")
        picture = self._capture.read()
        if picture is None:
            raise SourceLost(
                f"{self._name}: the stream stopped (ended by the server, or silent for {self._stall_s:g} s); "
                "check the camera's power and network"
            )
        return self._framing.frame(*picture)

    def close(self) -> None:
        """As `FrameSource.close`."""
        if self._capture is not None:
            self._capture.release()
        self._capture = None

    def interrupt(self) -> None:
        """OpenCV cannot be woken; its own timeouts end the wait."""
