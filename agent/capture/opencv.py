"""What the sources that read through OpenCV share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

import cv2

from agent.capture.framing import Framing
from agent.capture.source import NegotiatedFormat, public_name
from agent.errors import SourceLost

if TYPE_CHECKING:
    from agent.capture.source import Clock
    from agent.config.settings import CameraSettings
    from agent.core.types import Frame, Image

V4L2 = cv2.CAP_V4L2
MAX_DAMAGED = 30  # pictures in a row that cannot be decoded: about a second, then the source is lost
SILENCE_S = 0.5  # a grab that failed after so long waited in vain; a sooner one met damaged data, or the end
_FATAL_ONLY = 1  # of OpenCV's log levels
_ENVIRONMENT = {
    "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "3",  # seconds; OpenCV's own 10 would hide a stall
}


def prepare() -> None:
    """Call before a capture is opened.

    Keeps OpenCV from writing to stderr: the agent says itself what went wrong. What the user set holds.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    cv2.utils.logging.setLogLevel(_FATAL_ONLY)


def negotiated_format(capture: cv2.VideoCapture) -> NegotiatedFormat:
    """What an open capture says of itself; 0 for what it does not know."""
    width, height, fps = (
        max(float(capture.get(prop)), 0.0)
        for prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS)
    )
    return NegotiatedFormat(int(width), int(height), fps)


class LiveCapture:
    """An open `cv2.VideoCapture` of a live source: grabbed, stamped, then decoded."""

    def __init__(self, capture: cv2.VideoCapture, clock: Clock) -> None:
        self.damaged = 0  # pictures that could not be decoded
        self._capture = capture
        self._clock = clock

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


class LiveSource:
    """A camera or stream that OpenCV reads. A subclass opens it, and says why no picture comes any more."""

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
        self._clock = clock
        self._framing = Framing(settings, camera)
        self._capture: LiveCapture | None = None

    def _why_silent(self) -> str:
        """What to say when no good picture comes any more."""
        raise NotImplementedError

    def _opened(self, capture: cv2.VideoCapture) -> NegotiatedFormat:
        """Keep what a subclass has opened."""
        self._capture = LiveCapture(capture, self._clock)
        return negotiated_format(capture)

    @property
    def skipped(self) -> int:
        """Pictures that could not be decoded."""
        return self._capture.damaged if self._capture else 0

    def read(self) -> Frame:
        """As `FrameSource.read`; OpenCV's own timeouts bound the wait."""
        if self._capture is None:
            raise SourceLost(f"{self._name}: is not open")
        picture = self._capture.read()
        if picture is None:
            raise SourceLost(f"{self._name}: {self._why_silent()}")
        return self._framing.frame(*picture)

    def close(self) -> None:
        """As `FrameSource.close`: the camera's light goes out."""
        if self._capture is not None:
            self._capture.release()
        self._capture = None

    def interrupt(self) -> None:
        """OpenCV cannot be woken; its own timeouts end the wait."""
