"""Fixtures for the tests of cameras."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from real_cameras import Ear, MjpegServer, RtspServer, has_rtsp_server

from agent.backoff import Backoff
from agent.capture.mailbox import FrameMailbox
from agent.capture.supervisor import CameraSupervisor
from agent.config.settings import CameraSettings


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def mailbox() -> Iterator[FrameMailbox]:
    mailbox = FrameMailbox()
    yield mailbox
    mailbox.close()


Watching = Callable[..., CameraSupervisor]


@pytest.fixture
def watching(ear: Ear, mailbox: FrameMailbox) -> Iterator[Watching]:
    """Starts a watch of a source that tells `ear` and fills `mailbox`; retries soon."""
    watches: list[CameraSupervisor] = []

    def begin(source: str, *, camera: str = "front", tell: Ear = ear, **settings: object) -> CameraSupervisor:
        options = {"width": 160, "height": 120, "stall_timeout": 1.0, **settings}
        chosen = CameraSettings.model_validate({"source": source, **options})
        watch = CameraSupervisor(camera, chosen, mailbox, tell, backoff=Backoff(0.1, 0.5))
        watches.append(watch)
        watch.start()
        return watch

    yield begin
    for watch in watches:
        watch.close()


@pytest.fixture
def mjpeg() -> Iterator[MjpegServer]:
    server = MjpegServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def rtsp_is_here() -> None:
    if not has_rtsp_server():
        pytest.skip(
            "no RTSP server: apt install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good"
        )


@pytest.fixture
def rtsp(rtsp_is_here: None) -> Iterator[RtspServer]:
    server = RtspServer()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def gstreamer() -> None:
    if shutil.which("gst-launch-1.0") is None:
        pytest.skip("no gst-launch-1.0: apt install gstreamer1.0-tools gstreamer1.0-plugins-base")
