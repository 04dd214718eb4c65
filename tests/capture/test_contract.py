"""What holds for every kind of source, tried on every kind that this machine can have."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
from real_cameras import MjpegServer, RtspServer, write_images, write_video

from agent.capture.source import FrameSource, open_source
from agent.config.settings import CameraSettings
from agent.errors import SourceLost

Begin = Callable[..., FrameSource]


@pytest.fixture(params=["folder", "file", "gst", "http", "rtsp"])
def source(request: pytest.FixtureRequest, tmp_path) -> str:
    match request.param:
        case "folder":
            return str(write_images(tmp_path / "images", 12))
        case "file":
            return str(write_video(tmp_path / "clip.avi", 12))
        case "gst":
            request.getfixturevalue("gstreamer")
            return f"gst:{RtspServer.MOVING}"
        case kind:
            server: MjpegServer | RtspServer = request.getfixturevalue({"http": "mjpeg"}.get(kind, kind))
            return server.url


@pytest.fixture
def begin(source: str) -> Iterator[Begin]:
    opened: list[FrameSource] = []

    def make(**settings: object) -> FrameSource:
        options = {"source": source, "width": 160, "height": 120, **settings}
        opened.append(open_source(CameraSettings.model_validate(options), "front", pace=False))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def test_it_gives_numbered_pictures_with_times_that_grow(begin: Begin):
    camera = begin()
    granted = camera.open()
    frames = [camera.read() for _ in range(6)]
    assert (granted.width, granted.height) == (160, 120)
    assert [frame.seq for frame in frames] == list(range(6))
    assert all(later.at > earlier.at for earlier, later in pairwise(frames))
    assert {frame.camera for frame in frames} == {"front"}
    assert {frame.image.shape for frame in frames} == {(120, 160, 3)}
    assert {frame.image.dtype for frame in frames} == {np.dtype(np.uint8)}


def test_each_picture_has_its_own_memory(begin: Begin):
    camera = begin()
    camera.open()
    first = camera.read().image
    before = first.copy()
    camera.read()
    assert np.array_equal(first, before)


def test_a_frame_that_is_skipped_has_its_time_and_the_next_one_follows_it(begin: Begin):
    camera = begin()
    camera.open()
    first, skipped, third = camera.read(), camera.skip(), camera.read()
    assert first.at < skipped < third.at
    assert not np.array_equal(first.image, third.image)


def test_it_turns_the_picture_upright(begin: Begin):
    camera = begin(rotate=90)
    camera.open()
    assert camera.read().image.shape == (160, 120, 3)


def test_it_can_be_closed_twice_and_opened_again(begin: Begin):
    camera = begin()
    camera.close()
    camera.open()
    camera.read()
    camera.close()
    camera.close()
    camera.open()
    assert camera.read().image.shape == (120, 160, 3)


def test_it_cannot_be_read_while_it_is_closed(begin: Begin, source: str):
    camera = begin()
    camera.open()
    camera.close()
    for ask in (camera.read, camera.skip):
        with pytest.raises(SourceLost, match="is not open") as lost:
            ask()
        assert source in str(lost.value)
