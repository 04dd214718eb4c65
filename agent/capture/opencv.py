"""Common base of the sources that read through OpenCV."""

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
MAX_DAMAGED = 30  # consecutive undecodable images, about a second, after which the source is lost
SILENCE_S = 0.5  # a grab that fails after this time had no data; a faster one met damaged data, or the end
_FATAL_ONLY = 1  # OpenCV log level
_ENVIRONMENT = {
    "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "3",  # seconds; OpenCV's default of 10 would hide a stall
}


def prepare() -> None:
    """Configure OpenCV's environment and logging; call before a capture is opened.

    Stops OpenCV from writing to stderr, because the agent logs errors itself. Variables set by the user win.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    cv2.utils.logging.setLogLevel(_FATAL_ONLY)


def negotiated_format(capture: cv2.VideoCapture) -> NegotiatedFormat:
    """Return the format that an open capture reports; 0 where unknown."""
    width, height, fps = (
        max(float(capture.get(prop)), 0.0)
        for prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS)
    )
    return NegotiatedFormat(int(width), int(height), fps)


class LiveCapture:
    """An open `cv2.VideoCapture` of a live source: grabs, timestamps, then decodes."""

    def __init__(self, capture: cv2.VideoCapture, clock: Clock) -> None:
        self.damaged = 0  # images that could not be decoded
        self._capture = capture
        self._clock = clock

    def read(self) -> tuple[Image, float] | None:
        """Return the next image, uint8 (H, W, 3) BGR, and its arrival time; None when none comes."""
        for damaged in range(MAX_DAMAGED):
            at = self.skip()
            if at is None:
                return None
            ok, image = self._capture.retrieve()
            if ok:
                self.damaged += damaged
                return cast("Image", image), at
        return None

    def skip(self) -> float | None:
        """Grab the next image without decoding it and return its arrival time; None when none comes."""
        for _ in range(MAX_DAMAGED):
            asked_at = self._clock()
            grabbed = self._capture.grab()
            at = self._clock()
            if grabbed:
                return at
            if at - asked_at > SILENCE_S:
                return None
        return None

    def release(self) -> None:
        """Close the device or connection."""
        self._capture.release()


class LiveSource:
    """Base of cameras and streams read through OpenCV; subclasses open the capture and explain failures."""

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
        """Explanation, for the user, why no more images come."""
        raise NotImplementedError

    def _opened(self, capture: cv2.VideoCapture) -> NegotiatedFormat:
        """Store the capture that a subclass has opened."""
        self._capture = LiveCapture(capture, self._clock)
        return negotiated_format(capture)

    @property
    def skipped(self) -> int:
        """Number of images that could not be decoded."""
        return self._capture.damaged if self._capture else 0

    def read(self) -> Frame:
        """Return the next frame; OpenCV's own timeouts bound the wait. Raises `SourceLost`."""
        picture = self._opened_capture().read()
        if picture is None:
            raise SourceLost(f"{self._name}: {self._why_silent()}")
        return self._framing.frame(*picture)

    def skip(self) -> float:
        """Drop the next frame undecoded and return its time. Raises `SourceLost`."""
        at = self._opened_capture().skip()
        if at is None:
            raise SourceLost(f"{self._name}: {self._why_silent()}")
        return at

    def _opened_capture(self) -> LiveCapture:
        if self._capture is None:
            raise SourceLost(f"{self._name}: is not open")
        return self._capture

    def close(self) -> None:
        """Release the device, so that the camera's light goes out; may be called twice."""
        if self._capture is not None:
            self._capture.release()
        self._capture = None

    def interrupt(self) -> None:
        """Do nothing: OpenCV cannot be interrupted; its own timeouts end the wait."""
