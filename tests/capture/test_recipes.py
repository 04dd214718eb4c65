"""Pipelines of the guides on a real stream; the CPU's elements stand in where NVIDIA's are not here."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from nv12_images import GpuFormats
from real_cameras import RtspServer

from agent.capture.source import open_source
from agent.config.settings import CameraSettings
from agent.core.frame_memory import FrameMemory
from agent.core.nv12 import Nv12Image

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "tensorrt.md"
BARS = "videotestsrc is-live=true pattern=smpte75 ! video/x-raw,width=640,height=360,framerate=10/1"
H264 = "videoconvert ! openh264enc ! h264parse config-interval=1 ! rtph264pay name=pay0"
STAND_INS = {"nvv4l2decoder": "openh264dec", "nvvidconv": "videoconvert ! videoscale"}


@pytest.fixture
def camera(rtsp_is_here: None, gstreamer: None) -> Iterator[RtspServer]:
    for element in ("openh264enc", "openh264dec", "rtspsrc", "h264parse"):
        if not has_element(element):
            pytest.skip(f"GStreamer has no {element}: apt install gstreamer1.0-plugins-bad")
    server = RtspServer(pipeline=BARS, encode=H264)
    yield server
    server.kill()


def has_element(name: str) -> bool:
    return subprocess.run(["gst-inspect-1.0", "--exists", name], check=False).returncode == 0


def recipe(url: str) -> dict[str, str]:
    """The camera of the guide, at a server of ours."""
    blocks = re.findall(r"```toml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (block,) = [block for block in blocks if "nvv4l2decoder" in block]
    camera = dict(re.findall(r'^(\w+) = "?(.*?)"?$', block, re.MULTILINE))
    source = camera["source"].replace("rtsp://CAMERA/stream", url)
    assert url in source
    for element, stand_in in STAND_INS.items():
        assert f"! {element} !" in source
        if not has_element(element):
            source = source.replace(element, stand_in)
    return {**camera, "source": source}


@pytest.mark.parametrize("memory", [None, GpuFormats()], ids=["networks on the CPU", "networks on a GPU"])
def test_rtsp_decoded_by_a_pipeline_gives_the_camera_pictures(
    camera: RtspServer, memory: FrameMemory | None
) -> None:
    settings = CameraSettings.model_validate(recipe(camera.url))
    source = open_source(settings, "front", memory=memory)
    source.open()
    frame = source.read()
    source.close()
    image = frame.image
    assert image.shape == (720, 1280, 3)
    assert isinstance(frame.pixels, Nv12Image) == (memory is not None)
    colours = [image[300, (2 * bar + 1) * 1280 // 14].astype(int) for bar in range(7)]
    expected = [(180, 180, 180), (16, 180, 180), (180, 180, 16), (16, 180, 16), (180, 16, 180), (16, 16, 180)]
    for colour, right in zip(colours, [*expected, (180, 16, 16)], strict=True):
        assert np.abs(colour - right).max() < 40  # of 255: two colour conversions and H.264 between
