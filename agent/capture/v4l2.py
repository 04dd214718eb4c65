"""Source for V4L2 cameras (USB, MIPI with a kernel driver), through OpenCV."""

from __future__ import annotations

import getpass
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import structlog

from agent.capture.opencv import V4L2, LiveSource, negotiated_format, prepare
from agent.capture.source import Clock, NegotiatedFormat
from agent.errors import SourceLost

if TYPE_CHECKING:
    from agent.config.settings import CameraSettings


log = structlog.get_logger()

MJPG = cv2.VideoWriter.fourcc(*"MJPG")  # raw YUYV at 30/s saturates USB 2 at 640 x 480
SMALL = (640, 480)  # px: a size at which cameras without MJPG reach full rate
FAST_ENOUGH = 0.5  # share of the requested frame rate below which a smaller size is tried


class V4l2Camera(LiveSource):
    """V4L2 camera; requests MJPG at the configured size and rate, and accepts the driver's nearest match.

    Frame rate comes first: a camera without MJPG sends large images only a few times a second.
    """

    def __init__(self, settings: CameraSettings, camera: str, clock: Clock, *, pace: bool) -> None:
        super().__init__(settings, camera, clock, pace=pace)
        self._camera = camera
        self._device = Path(settings.source.removeprefix("v4l2:"))

    def open(self) -> NegotiatedFormat:
        """Open the device and return its format.

        Raises `SourceLost`, whose text distinguishes a missing device, missing permission and a busy camera.
        """
        self.close()
        self._check_device()
        prepare()
        capture = cv2.VideoCapture(os.path.realpath(self._device), V4L2)
        if not capture.isOpened():
            raise SourceLost(
                f"{self._name}: is there but does not open as a camera; another program may use it "
                f"(fuser -v {self._device}), or it is the camera's second node: try the others in /dev"
            )
        self._ask(capture)
        return self._opened(capture)

    def _ask(self, capture: cv2.VideoCapture) -> None:
        wanted = (self._settings.width, self._settings.height)
        large = self._negotiated(capture, wanted)
        if not 0 < large.fps < FAST_ENOUGH * self._settings.fps or math.prod(wanted) <= math.prod(SMALL):
            return
        small = self._negotiated(capture, SMALL)
        if small.fps <= large.fps:
            self._negotiated(capture, wanted)
            return
        fix = f"fps = {large.fps:g} keeps the larger pictures"
        log.warning(
            "camera_too_slow_at_size", camera=self._camera, gives=str(large), takes=str(small), fix=fix
        )

    def _negotiated(self, capture: cv2.VideoCapture, size: tuple[int, int]) -> NegotiatedFormat:
        capture.set(cv2.CAP_PROP_FOURCC, MJPG)  # first: it determines the available sizes
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        capture.set(cv2.CAP_PROP_FPS, self._settings.fps)
        return negotiated_format(capture)

    def _check_device(self) -> None:
        if not os.path.exists(self._device):  # noqa: PTH110 (does not raise)
            there = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*"))) or "none"
            raise SourceLost(
                f"{self._name}: no such device; cameras on this machine: {there}; "
                "plug the camera in, or correct the source"
            )
        if not self._device.is_char_device():
            raise SourceLost(f"{self._name}: is not a device; a video file is named without v4l2:")
        if not os.access(self._device, os.R_OK | os.W_OK):
            raise SourceLost(
                f"{self._name}: user {getpass.getuser()} may not read it; add the user to the group "
                "video, or install the service, which has the right"
            )

    def _why_silent(self) -> str:
        self._check_device()
        return "stopped giving pictures; check its cable and its power"
