import pytest

from agent.capture.source import open_source, public_name, scheme_of
from agent.config.settings import CameraSettings
from agent.errors import ConfigError


@pytest.mark.parametrize(
    ("source", "scheme"),
    [
        ("v4l2:/dev/video0", "v4l2"),
        ("/dev/video0", "v4l2"),
        ("/dev/v4l/by-id/usb-cam-index0", "v4l2"),
        ("rtsp://10.0.0.5/stream", "rtsp"),
        ("http://cam.local:8080/?action=stream", "http"),
        ("gst:videotestsrc ! videoconvert", "gst"),
        ("csi:0", "csi"),
        ("RTSP://10.0.0.5/stream", "rtsp"),
        ("file:clips/kitchen.mp4", "file"),
        ("file:///srv/clips/kitchen.mp4", "file"),
        ("folder:clips", "folder"),
        ("clips/kitchen.mp4", "file"),
        ("../clips/a:b.mp4", "file"),
    ],
)
def test_the_source_names_its_kind(source: str, scheme: str):
    assert scheme_of(source) == scheme


def test_a_path_that_is_a_folder_is_a_folder_of_images(tmp_path):
    assert scheme_of(str(tmp_path)) == "folder"
    assert scheme_of(str(tmp_path / "one.jpg")) == "folder"


@pytest.mark.parametrize("source", ["v4l:/dev/video0", "udp://10.0.0.5", "csi:"])
def test_an_unknown_kind_cannot_start_and_lists_the_known_ones(source: str):
    with pytest.raises(ConfigError, match=r"expected .*v4l2:/dev/video0.*folder"):
        open_source(CameraSettings(source=source), "front")


@pytest.mark.parametrize("source", ["csi:front", "gst:filesrc location='a b"])
def test_what_makes_no_sense_after_the_colon_cannot_start(source: str):
    with pytest.raises(ConfigError, match=r"expected csi:0|every quote needs its partner"):
        open_source(CameraSettings(source=source), "front")


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://ann:s3cret@cam/1", "rtsp://ann:***@cam/1"),
        ("rtsp://ann:s3:c@ret@cam:554/1", "rtsp://ann:***@cam:554/1"),
        ("rtsp://cam/1", "rtsp://cam/1"),
        ("http://cam:80/snap%402x", "http://cam:80/snap%402x"),
        ("http://cam/s?user=ann&password=s3cret&x=1", "http://cam/s?user=ann&password=***"),
        (
            "gst:rtspsrc location=rtsp://a:s3cret@b/c ! decodebin",
            "gst:rtspsrc location=rtsp://a:***@b/c ! decodebin",
        ),
        (
            "gst:rtspsrc user-id=ann user-pw=s3cret ! decodebin",
            "gst:rtspsrc user-id=ann user-pw=*** ! decodebin",
        ),
    ],
)
def test_a_source_is_shown_without_its_password(source: str, shown: str):
    assert public_name(source) == shown
