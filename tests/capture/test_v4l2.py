"""What is asked of a kernel's camera, against a driver as V4L2 describes it: it grants what is nearest."""

from dataclasses import dataclass, field

import cv2
import pytest
from structlog.testing import capture_logs

from agent.capture.source import NegotiatedFormat, open_source
from agent.config.settings import CameraSettings

MJPG = cv2.VideoWriter.fourcc(*"MJPG")
YUYV = cv2.VideoWriter.fourcc(*"YUYV")
Speeds = dict[tuple[int, int], float]
RAW: Speeds = {(320, 240): 30, (640, 480): 30, (1280, 720): 10, (1920, 1080): 5}  # a USB 2 port's worth
ALL_FAST: Speeds = dict.fromkeys(RAW, 30)


@dataclass
class Driver:
    """The most pictures a second by size, for each format; 0: the driver does not say."""

    formats: dict[int, Speeds]
    state: dict[int, float] = field(default_factory=dict)

    def __call__(self, path: str, backend: int) -> "Driver":
        assert (path, backend) == ("/dev/null", cv2.CAP_V4L2)
        return self

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        return True

    def set(self, prop: int, value: float) -> bool:
        self.state[prop] = value
        return True

    def get(self, prop: int) -> float:
        speeds = self.formats.get(int(self.state[cv2.CAP_PROP_FOURCC])) or next(iter(self.formats.values()))
        asked = self.state[cv2.CAP_PROP_FRAME_WIDTH], self.state[cv2.CAP_PROP_FRAME_HEIGHT]
        size = min(speeds, key=lambda size: abs(size[0] - asked[0]) + abs(size[1] - asked[1]))
        if prop == cv2.CAP_PROP_FPS:
            return min(speeds[size], self.state[prop])
        return size[prop == cv2.CAP_PROP_FRAME_HEIGHT]

    def release(self) -> None:
        self.state.clear()


def opened(monkeypatch: pytest.MonkeyPatch, formats: dict[int, Speeds], **asked: float) -> NegotiatedFormat:
    """What a camera of these formats grants."""
    monkeypatch.setattr(cv2, "VideoCapture", Driver(formats))
    settings = CameraSettings.model_validate({"source": "v4l2:/dev/null", **asked})
    camera = open_source(settings, "front")
    try:
        return camera.open()
    finally:
        camera.close()


def test_a_usual_camera_gives_the_default_size_at_full_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert opened(monkeypatch, {YUYV: RAW, MJPG: ALL_FAST}) == NegotiatedFormat(1280, 720, 30)


def test_one_that_is_slow_at_that_size_is_asked_for_a_smaller_one_and_that_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with capture_logs() as logs:
        assert opened(monkeypatch, {YUYV: RAW}) == NegotiatedFormat(640, 480, 30)
    [told] = [entry for entry in logs if entry["event"] == "camera_too_slow_at_size"]
    assert (told["gives"], told["takes"]) == ("1280x720 at 10/s", "640x480 at 30/s")
    assert (told["camera"], told["fix"]) == ("front", "fps = 10 keeps the larger pictures")


def test_whoever_wants_few_pictures_gets_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    assert opened(monkeypatch, {YUYV: RAW}, fps=10) == NegotiatedFormat(1280, 720, 10)
    assert opened(monkeypatch, {YUYV: RAW}, width=1920, height=1080, fps=5) == NegotiatedFormat(1920, 1080, 5)


@pytest.mark.parametrize("fps", [0.0, 7.5])
def test_one_that_is_no_faster_when_smaller_or_does_not_say_keeps_its_size(
    monkeypatch: pytest.MonkeyPatch, fps: float
) -> None:
    assert opened(monkeypatch, {YUYV: dict.fromkeys(RAW, fps)}) == NegotiatedFormat(1280, 720, fps)


def test_the_smallest_are_not_asked_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = {(320, 240): 5.0, (640, 480): 30.0}
    assert opened(monkeypatch, {YUYV: slow}, width=320, height=240) == NegotiatedFormat(320, 240, 5)
