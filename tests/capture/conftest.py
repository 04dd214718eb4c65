"""Fixtures for the tests of cameras."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from real_cameras import Ear, MjpegServer, RtspServer, has_rtsp_server

from agent.capture.backoff import Backoff
from agent.capture.latest import Latest
from agent.capture.watch import CameraWatch
from agent.config.settings import CameraSettings


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def latest() -> Iterator[Latest]:
    mailbox = Latest()
    yield mailbox
    mailbox.close()


Watching = Callable[..., CameraWatch]


@pytest.fixture
def watching(ear: Ear, latest: Latest) -> Iterator[Watching]:
    """Starts a watch of a source that tells `ear` and fills `latest`; retries soon."""
    watches: list[CameraWatch] = []

    def begin(source: str, *, camera: str = "front", tell: Ear = ear, **settings: object) -> CameraWatch:
        options = {"width": 160, "height": 120, "stall": 1.0, **settings}
        chosen = CameraSettings.model_validate({"source": source, **options})
        watch = CameraWatch(camera, chosen, latest, tell, backoff=Backoff(0.1, 0.5))
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
