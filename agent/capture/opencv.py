"""What the sources that read through OpenCV share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

import cv2

if TYPE_CHECKING:
    from agent.capture.source import Clock
    from agent.core.types import Image

FFMPEG = cv2.CAP_FFMPEG
V4L2 = cv2.CAP_V4L2
MAX_DAMAGED = 30  # pictures in a row that cannot be decoded: about a second, then the source is lost
SILENCE_S = 0.5  # a grab that failed after so long waited in vain; a sooner one met damaged data, or the end
_FATAL_ONLY = 1  # of OpenCV's log levels
_ENVIRONMENT = {
    "OPENCV_FFMPEG_LOGLEVEL": "-8",  # AV_LOG_QUIET
    "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "3",  # seconds; OpenCV's own 10 would hide a stall
    "OPENCV_FFMPEG_IS_THREAD_SAFE": "1",  # else one camera that does not answer keeps all others from opening
}


def prepare() -> None:
    """Call before a capture is opened.

    Keeps OpenCV and FFmpeg from writing to stderr (URLs with passwords would show up there; the agent
    says itself what went wrong), and lets cameras open side by side. What the user set before holds.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    cv2.utils.logging.setLogLevel(_FATAL_ONLY)


class LiveCapture:
    """An open `cv2.VideoCapture` of a live source: grabbed, stamped, then decoded."""

    def __init__(self, capture: cv2.VideoCapture, clock: Clock) -> None:
        self.damaged = 0  # pictures that could not be decoded
        self._capture = capture
        self._clock = clock

    def get(self, prop: int) -> float:
        """A property of the capture; 0 where it is not known."""
        return max(float(self._capture.get(prop)), 0.0)

    def read(self) -> tuple[Image, float] | None:
        """The next picture, uint8 (H, W, 3) BGR, and when it came; None when no good one comes any more."""
        for damaged in range(MAX_DAMAGED):
            asked_at = self._clock()
            grabbed = self._capture.grab()
            at = self._clock()
            ok, image = self._capture.retrieve() if grabbed else (False, None)
            if ok:
                self.damaged += damaged
                return cast("Image", image), at
            if not grabbed and at - asked_at > SILENCE_S:
                return None
        return None

    def release(self) -> None:
        """Close the device or the connection."""
        self._capture.release()
