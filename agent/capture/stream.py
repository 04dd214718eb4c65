"""RTSP, and MJPEG over HTTP, through the FFmpeg inside OpenCV.

FFmpeg runs inside the daemon, so it gets a timeout for everything it may wait for. What OpenCV keeps
to itself (it says only that a stream did not open) is found out by asking the server once more.
"""

from __future__ import annotations

import cv2

from agent.capture.opencv import FFMPEG, LiveSource, prepare
from agent.capture.server import check_reachable, why_refused
from agent.capture.source import Granted
from agent.errors import SourceLost

OPEN_TIMEOUT_MS = 8_000  # the stream starts at the next key frame, which cameras send every 1 to 5 s
ONE_THREAD = 1  # FFmpeg's frame threads would hold back as many pictures as there are threads


class NetworkStream(LiveSource):
    """A camera on the network; the newest picture, whatever the server's speed.

    Where the server changes the size in the middle, OpenCV scales to the size of the start.
    """

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
                *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, max(round(self._settings.stall * 1000), 100)),
                *(cv2.CAP_PROP_N_THREADS, ONE_THREAD),
            ],
        )
        if not capture.isOpened():
            raise SourceLost(f"{self._name}: {why_refused(url)}")
        return self._opened(capture)

    def _address(self) -> str:
        try:
            return self._settings.address()
        except (OSError, UnicodeDecodeError) as exc:
            raise SourceLost(f"{self._name}: its password file cannot be read ({exc})") from exc

    def _why_silent(self) -> str:
        return (
            f"the stream stopped (ended by the server, or silent for {self._settings.stall:g} s); "
            "check the camera's power and network"
        )
