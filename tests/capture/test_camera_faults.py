"""Cameras that fail, with real servers, real processes and real files."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from nv12_images import GpuFormats
from real_cameras import (
    PATIENCE_S,
    Ear,
    MjpegServer,
    RtspServer,
    free_port,
    jpeg,
    picture,
    write_images,
    write_video,
)
from structlog.testing import capture_logs

from agent.capture.mailbox import FrameMailbox
from agent.capture.source import open_source
from agent.config.settings import CameraSettings, Secret
from agent.core.frame_memory import FrameMemory
from agent.core.types import Frame, Image
from agent.errors import SourceLost


def frames_of(mailbox: FrameMailbox, camera: str, count: int) -> list[Frame]:
    """The next `count` frames of a camera that are taken."""
    frames: list[Frame] = []
    while len(frames) < count:
        news = mailbox.take(PATIENCE_S)
        assert news, f"no frame of {camera} came"
        frames += [frame for frame in news if frame.camera == camera]
    return frames


def reason_of(source: str, **settings: object) -> str:
    """Why a source does not open, or gives no frame."""
    options = {"source": source, "width": 160, "height": 120, "stall_timeout": 1.0, **settings}
    camera = open_source(CameraSettings.model_validate(options), "front")
    try:
        camera.open()
        camera.read()
    except SourceLost as lost:
        return str(lost)
    finally:
        camera.close()
    pytest.fail(f"{source} gave a frame")


# --- no camera ---


def test_a_camera_that_is_not_there_is_reported_with_those_that_are():
    reason = reason_of("v4l2:/dev/video-none")
    there = sorted(str(path) for path in Path("/dev").glob("video*"))
    assert reason.startswith("v4l2:/dev/video-none: no such device; cameras on this machine: ")
    assert (there[0] if there else "none") in reason


def test_a_device_that_is_no_camera_is_reported():
    assert "is there but does not open as a camera" in reason_of("v4l2:/dev/null")


def test_a_file_named_as_a_device_is_reported(tmp_path):
    clip = write_video(tmp_path / "clip.avi", 3)
    assert "a video file is named without v4l2:" in reason_of(f"v4l2:{clip}")


@pytest.mark.skipif(not Path("/dev/video0").exists(), reason="no camera at /dev/video0")
def test_a_real_camera_gives_pictures():
    camera = open_source(CameraSettings(source="v4l2:/dev/video0"), "front")
    granted = camera.open()
    assert camera.read().image.shape == (granted.height, granted.width, 3)
    camera.close()


def test_a_csi_camera_without_nvidias_elements_is_reported(gstreamer):
    if not Path("/etc/nv_tegra_release").exists():
        assert 'no element "nvarguscamerasrc"; csi needs JetPack\'s' in reason_of("csi:0")


# --- servers that refuse ---


def test_a_server_that_is_not_there_is_reported():
    port = free_port()
    assert reason_of(f"rtsp://127.0.0.1:{port}/cam").endswith(
        f"127.0.0.1 port {port}: Connection refused; is the camera on, and the port right?"
    )


def test_a_host_that_does_not_exist_is_reported():
    assert 'no host named "camera.invalid"' in reason_of("rtsp://camera.invalid/cam")


def test_a_path_that_the_server_does_not_know_is_reported(rtsp: RtspServer, mjpeg: MjpegServer):
    for url in (rtsp.url, mjpeg.url):
        assert "has no stream at /none (status 404)" in reason_of(url.replace("/cam", "/none"))


def test_a_page_instead_of_a_stream_is_reported(mjpeg: MjpegServer):
    reason = reason_of(mjpeg.url.replace("/cam", "/page"))
    assert "sends text/html, expected a stream of pictures" in reason


@pytest.fixture
def locked(rtsp_is_here: None) -> Iterator[RtspServer]:
    server = RtspServer("ann", "right")
    yield server
    server.kill()


def test_a_login_that_is_missing_or_wrong_is_reported_without_the_password(locked: RtspServer):
    assert "wants a login (status 401); set user and password of the camera" in reason_of(locked.url)
    reason = reason_of(locked.url.replace("://", "://ann:wr0ng@"))
    assert "rtsp://ann:***@127.0.0.1" in reason
    assert "refuses the login (status 401)" in reason
    assert "wr0ng" not in reason


def test_the_right_login_opens_the_stream(locked: RtspServer, watching, ear: Ear):
    watching(locked.url.replace("://", "://ann:right@"))
    ear.wait_for("online")
    assert all("right" not in state.reason for state in ear.heard)


def test_user_and_password_file_of_the_camera_open_it_too(
    locked: RtspServer, watching, ear: Ear, tmp_path: Path
):
    (tmp_path / "password").write_text("right\n")
    watching(locked.url, user="ann", password=Secret(file=tmp_path / "password"))
    ear.wait_for("online")
    assert all("right" not in state.reason for state in ear.heard)


# --- streams that fail while they run ---


def test_an_rtsp_server_that_is_killed_is_lost_and_is_back_when_it_is(
    rtsp: RtspServer, watching, ear, mailbox
):
    watching(rtsp.url)
    ear.wait_for("online")
    before = frames_of(mailbox, "front", 3)[-1]
    rtsp.kill()
    ear.wait_for("offline", "the stream stopped")
    ear.wait_for("offline", "Connection refused")
    rtsp.start()
    ear.wait_for("online")
    assert frames_of(mailbox, "front", 1)[0].seq > before.seq


def test_an_rtsp_server_that_freezes_is_noticed_and_is_back_when_it_runs_on(rtsp: RtspServer, watching, ear):
    watching(rtsp.url)
    ear.wait_for("online")
    rtsp.process.send_signal(signal.SIGSTOP)
    ear.wait_for("offline", rtsp.url)
    rtsp.process.send_signal(signal.SIGCONT)
    ear.wait_for("online")


@pytest.fixture
def mute() -> Iterator[str]:
    """A server that accepts, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}/cam"


def test_a_server_that_accepts_and_sends_nothing_is_noticed(mute: str, watching):
    ears = {scheme: Ear() for scheme in ("rtsp", "http")}
    for scheme, ear in ears.items():
        watching(f"{scheme}://{mute}", camera=scheme, tell=ear)
    for ear in ears.values():
        ear.wait_for("offline", "no picture after 4 s; still waiting")
        ear.wait_for("offline", "accepts the connection but sends no stream")


def test_a_mute_server_disturbs_no_other_camera(
    mute: str, tmp_path, watching, ear: Ear, mailbox: FrameMailbox
):
    watching(f"rtsp://{mute}", camera="mute", tell=Ear())
    watching(str(write_video(tmp_path / "clip.avi", 20)), camera="file", loop=True)
    ear.wait_for("online")
    assert len(frames_of(mailbox, "file", 30)) == 30


def test_a_stream_that_goes_silent_is_noticed_and_is_back_when_it_speaks(mjpeg: MjpegServer, watching, ear):
    watching(mjpeg.url)
    ear.wait_for("online")
    mjpeg.silent.set()
    ear.wait_for("offline", "silent for 1 s")
    mjpeg.silent.clear()
    ear.wait_for("online")


def test_a_stream_that_repeats_one_picture_is_noticed_and_is_back_when_it_moves(
    mjpeg: MjpegServer, watching, ear
):
    watch = watching(mjpeg.url)
    ear.wait_for("online")
    mjpeg.shows = lambda _: jpeg(1)
    ear.wait_for("offline", "its image does not change")
    mjpeg.shows = jpeg
    ear.wait_for("online")
    assert watch.counters.stalls == 1


def test_garbage_between_good_pictures_is_left_out(mjpeg: MjpegServer, watching, ear, mailbox):
    mjpeg.shows = lambda number: os.urandom(3000) if number % 4 == 3 else jpeg(number)
    watching(mjpeg.url)
    ear.wait_for("online")
    assert all(frame.image.shape == (120, 160, 3) for frame in frames_of(mailbox, "front", 20))
    assert len(ear.heard) == 2


def test_a_stream_that_turns_to_garbage_is_lost(mjpeg: MjpegServer, watching, ear):
    watching(mjpeg.url)
    ear.wait_for("online")
    mjpeg.shows = lambda _: os.urandom(3000)
    ear.wait_for("offline", mjpeg.url)
    mjpeg.shows = jpeg
    ear.wait_for("online")


def test_a_slow_camera_is_no_lost_one_and_holds_up_no_other(
    mjpeg: MjpegServer, tmp_path, watching, ear, mailbox
):
    def slow(number: int) -> bytes:
        time.sleep(0.5)  # a device of two pictures a second
        return jpeg(number)

    mjpeg.shows = slow
    watching(mjpeg.url, camera="slow")
    ear.wait_for("online")
    watching(str(write_video(tmp_path / "clip.avi", 20)), camera="file", tell=Ear(), loop=True)
    assert len(frames_of(mailbox, "slow", 4)) == 4
    assert len(frames_of(mailbox, "file", 20)) == 20
    assert [state.state for state in ear.heard] == ["offline", "online"]


def test_a_stream_that_ends_is_opened_again(mjpeg: MjpegServer, watching, ear):
    mjpeg.shows = lambda number: jpeg(number) if number < 10 else None
    watching(mjpeg.url)
    ear.wait_for("online")
    ear.wait_for("offline", "the stream stopped")
    ear.wait_for("online")
    assert mjpeg.connections >= 2


def test_a_stream_that_changes_its_size_goes_on_in_the_new_one(mjpeg: MjpegServer):
    camera = open_source(CameraSettings(source=mjpeg.url), "front")
    camera.open()
    camera.read()
    mjpeg.shows = lambda _: cv2.imencode(".jpg", np.full((240, 320, 3), 250, np.uint8))[1].tobytes()
    while (image := camera.read().image).min() < 240:
        pass
    camera.close()
    assert image.shape == (240, 320, 3)


def test_images_that_change_their_size_are_reported_and_passed_on(tmp_path, watching, ear, mailbox):
    write_images(tmp_path, 2)
    cv2.imwrite(str(tmp_path / "2.png"), picture(2, 64, 48))
    with capture_logs() as logs:
        watching(str(tmp_path), fps=5)
        ear.wait_for("offline", "played to its end (3 images)")
    changes = [(entry["was"], entry["now"]) for entry in logs if entry["event"] == "camera_size_changed"]
    assert changes == [("160x120", "64x48")]


# --- pipelines ---


def test_a_pipeline_that_is_wrong_is_reported_in_gstreamers_words(gstreamer):
    reason = reason_of("gst:nosuchsrc ! videoconvert")
    assert 'no element "nosuchsrc"; try the pipeline with gst-launch-1.0' in reason


def test_a_pipeline_that_ends_is_started_again(gstreamer, watching, ear):
    watching("gst:videotestsrc is-live=true pattern=ball num-buffers=5")
    ear.wait_for("online")
    ear.wait_for("offline", "the stream ended after")
    ear.wait_for("online")


def test_a_pipeline_that_hangs_is_ended_and_leaves_no_process(gstreamer, watching, ear):
    watch = watching("gst:videotestsrc is-live=true pattern=ball")
    ear.wait_for("online")
    [child] = children()
    os.kill(child, signal.SIGSTOP)
    ear.wait_for("offline", "no picture for 1 s")
    ear.wait_for("online")
    assert child not in children()
    watch.close()
    assert children() == []


def test_a_pipeline_of_a_real_file_plays_to_its_end(gstreamer, tmp_path):
    clip = write_video(tmp_path / "clip.avi", 20, fps=20)
    settings = CameraSettings(
        source=f"gst:filesrc location={clip} ! decodebin", width=160, height=120, fps=20
    )
    camera = open_source(settings, "front", pace=False)
    camera.open()
    frames = [camera.read() for _ in range(20)]
    assert [frame.at for frame in frames] == pytest.approx([number / 20 for number in range(20)])
    direct = cv2.VideoCapture(str(clip)).read()[1]
    assert abs(frames[0].image.astype(int) - direct).mean() < 4  # two decoders, the same picture
    camera.close()


def test_a_picture_of_another_shape_gets_borders_and_keeps_its_aspect(gstreamer):
    source = "gst:videotestsrc pattern=white is-live=true ! video/x-raw,width=320,height=120"
    camera = open_source(CameraSettings(source=source, width=160, height=120), "front")
    camera.open()
    image = camera.read().image
    camera.close()
    assert image[60, 80].min() > 200
    assert image[5, 80].max() < 50
    assert image[115, 80].max() < 50


@pytest.mark.parametrize("width", [160, 642])  # rows of 642 x 3 bytes are padded by GStreamer
def test_a_pipeline_gives_the_same_pictures_in_the_memory_of_a_gpu(gstreamer, width):
    plain, seen = (second_image(memory, width=width) for memory in (None, GpuFormats()))
    assert plain.shape == seen.shape == (120, width, 3)
    np.testing.assert_array_equal(seen, plain)
    assert seen.strides[1] == 4
    bars = [plain[60, (2 * bar + 1) * width // 14].argmax() for bar in range(7)]
    assert bars[3:] == [1, 0, 2, 0]  # green, magenta, red, blue from top to bottom: no row is shifted
    np.testing.assert_array_equal(plain[10], plain[70])


def test_a_picture_that_is_turned_anyway_is_read_without_a_fourth_byte(gstreamer):
    turned = [second_image(memory, width=160, rotate=90, mirror=True) for memory in (None, GpuFormats())]
    np.testing.assert_array_equal(*turned)
    assert turned[1].shape == (160, 120, 3)
    assert turned[1].flags.c_contiguous


def second_image(memory: FrameMemory | None, **settings: object) -> Image:
    chosen = {"source": "gst:videotestsrc pattern=smpte75 is-live=true", "height": 120, **settings}
    camera = open_source(CameraSettings.model_validate(chosen), "front", memory=memory)
    camera.open()
    images = [camera.read().image for _ in range(2)]
    camera.close()
    return images[1]


def children() -> list[int]:
    """Processes of ours that still live."""
    path = Path(f"/proc/{os.getpid()}/task")
    found = {int(pid) for task in path.iterdir() for pid in (task / "children").read_text().split()}
    return sorted(pid for pid in found if "gst-launch" in Path(f"/proc/{pid}/cmdline").read_text())


# --- files in the daemon ---


def test_a_folder_that_is_not_there_yet_is_played_when_it_comes(tmp_path, watching, ear):
    watching(str(tmp_path / "clip.avi"))
    ear.wait_for("offline", "No such file")
    write_video(tmp_path / "new.avi", 20).rename(tmp_path / "clip.avi")
    ear.wait_for("online")


def test_a_folder_that_vanishes_is_lost_and_is_back_when_it_is(tmp_path, watching, ear):
    shelf = write_images(tmp_path / "shelf", 3)
    watching(str(shelf), fps=50, loop=True)
    ear.wait_for("online")
    shelf.rename(tmp_path / "gone")
    ear.wait_for("offline", "none of its 3 images")
    (tmp_path / "gone").rename(shelf)
    ear.wait_for("online")


def test_a_file_ends_in_the_daemon_with_its_reason(tmp_path, watching, ear, mailbox):
    watch = watching(str(write_images(tmp_path, 3)), fps=50)
    ear.wait_for("online")
    ear.wait_for("offline", "played to its end (3 images)")
    assert watch.counters.frames == 3


def test_closing_ends_all_threads(tmp_path, watching, ear):
    before = threading.active_count()
    watch = watching(str(write_images(tmp_path, 3)), loop=True)
    ear.wait_for("online")
    watch.close()
    assert threading.active_count() == before
