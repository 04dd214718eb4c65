"""A camera of the kernel (USB, MIPI with a V4L2 driver), through OpenCV."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from agent.capture.framing import Framing
from agent.capture.opencv import V4L2, LiveCapture, prepare
from agent.capture.source import Clock, Granted
from agent.errors import SourceLost

if TYPE_CHECKING:
    from agent.config.settings import CameraSettings
    from agent.core.types import Frame

MJPG = cv2.VideoWriter.fourcc(*"MJPG")  # raw YUYV at 30/s fills USB 2 at 640 x 480 already


class V4l2Camera:
    """Asks for MJPG at the wanted size and speed; the driver grants what is nearest."""

    live = True

    def __init__(
        self,
        settings: CameraSettings,
        camera: str,
        clock: Clock,
        *,
        pace: bool,  # noqa: ARG002 (one signature for all sources)
    ) -> None:
        self._source = settings.source
        self._device = Path(settings.source.removeprefix("v4l2:"))
        self._settings = settings
        self._clock = clock
        self._framing = Framing(settings, camera)
        self._capture: LiveCapture | None = None

    @property
    def skipped(self) -> int:
        """Pictures that could not be decoded."""
        return self._capture.damaged if self._capture else 0

    def open(self) -> Granted:
        """As `FrameSource.open`: tells apart a missing device, a missing right and a busy camera."""
        self.close()
        self._check_device()
        prepare()
        capture = cv2.VideoCapture(os.path.realpath(self._device), V4L2)
        if not capture.isOpened():
            raise SourceLost(
                f"{self._source}: is there but does not open as a camera; another program may use it "
                f"(fuser -v {self._device}), or it is the camera's second node: try the others in /dev"
            )
        self._ask(capture)
        live = self._capture = LiveCapture(capture, self._clock)
        width, height = live.get(cv2.CAP_PROP_FRAME_WIDTH), live.get(cv2.CAP_PROP_FRAME_HEIGHT)
        return Granted(int(width), int(height), live.get(cv2.CAP_PROP_FPS))

    def _ask(self, capture: cv2.VideoCapture) -> None:
        capture.set(cv2.CAP_PROP_FOURCC, MJPG)  # first: it decides which sizes there are
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._settings.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._settings.height)
        capture.set(cv2.CAP_PROP_FPS, self._settings.fps)

    def _check_device(self) -> None:
        if not self._device.exists():
            there = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*"))) or "none"
            raise SourceLost(
                f"{self._source}: no such device; cameras on this machine: {there}; "
                "plug the camera in, or correct the source"
            )
        if not self._device.is_char_device():
            raise SourceLost(f"{self._source}: is not a device; a video file is named without v4l2:")
        if not os.access(self._device, os.R_OK | os.W_OK):
            raise SourceLost(
                f"{self._source}: user {getpass.getuser()} may not read it; add the user to the group "
                "video, or install the service, which has the right"
            )

    def read(self) -> Frame:
        """As `FrameSource.read`; waits at most three seconds (see `prepare`)."""
        if self._capture is None:
            raise SourceLost(f"{self._source}: is not open")
        picture = self._capture.read()
        if picture is None:
            self._check_device()
            raise SourceLost(f"{self._source}: stopped giving pictures; check its cable and its power")
        return self._framing.frame(*picture)

    def close(self) -> None:
        """As `FrameSource.close`: the camera's light goes out."""
        if self._capture is not None:
            self._capture.release()
        self._capture = None

    def interrupt(self) -> None:
        """OpenCV cannot be woken; its own timeout ends the wait."""
