"""Raw frames of real pipelines in NV12: layout and colours as GStreamer says, against its own conversion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from nv12_images import GpuFormats

from agent.capture.raw_layout import RawLayout, colour_of, layout_of
from agent.capture.source import open_source
from agent.config.settings import CameraSettings
from agent.core.frame_memory import FrameMemory
from agent.core.nv12 import BT601, BT709, Nv12Image, YuvColour
from agent.core.types import Frame, Image
from agent.errors import SourceLost

COLORIMETRIES = {
    "bt601": BT601,
    "bt709": BT709,
    "1:4:0:0": YuvColour(full_range=True),
    "1:3:5:1": YuvColour(BT709.red, BT709.blue, full_range=True),
    "bt2020": YuvColour(0.2627, 0.0593),
}


@pytest.fixture(scope="module")
def photograph(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photograph") / "0.jpg"
    found = [cv2.imread(str(path)) for path in sorted((shared_data / "photos").rglob("*.jpg"))[::600]]
    colourful = max(found, key=lambda image: np.ptp(image, axis=2).mean())  # matrices differ in colours only
    cv2.imwrite(str(path), cv2.resize(colourful, (320, 240)), [cv2.IMWRITE_JPEG_QUALITY, 95])
    return path


def frame_of(path: Path, caps: str, size: tuple[int, int], memory: FrameMemory | None) -> Frame:
    """A photograph that a pipeline has decoded to these caps, read in what the memory asks for."""
    decoded = f"gst:filesrc location={path} ! jpegdec ! videoconvert ! videoscale ! video/x-raw,{caps}"
    settings = {
        "source": f"{decoded},width={size[0]},height={size[1]} ! imagefreeze num-buffers=2",
        "width": size[0],
        "height": size[1],
    }
    source = open_source(CameraSettings.model_validate(settings), "front", memory=memory)
    source.open()
    try:
        return source.read()
    finally:
        source.close()


@pytest.mark.parametrize("colorimetry", COLORIMETRIES)
def test_a_photograph_in_nv12_is_what_gstreamer_makes_of_it(
    gstreamer: None, photograph: Path, colorimetry: str
) -> None:
    caps = f"format=NV12,colorimetry={colorimetry}"
    seen = frame_of(photograph, caps, (320, 240), GpuFormats())
    assert isinstance(seen.pixels, Nv12Image)
    assert seen.pixels.colour == COLORIMETRIES[colorimetry]
    right = blurred(frame_of(photograph, caps, (320, 240), None))
    assert np.abs(blurred(seen) - right).mean() < 4  # of 255; GStreamer calculates in few bits
    apart = {}
    for name, colour in COLORIMETRIES.items():
        other = replace(seen, pixels=Nv12Image(seen.pixels.data, 240, 320, colour))
        apart[name] = (blurred(other) - right).std()
    assert min(apart, key=lambda name: apart[name]) == colorimetry


def blurred(frame: Frame) -> Image:
    """Without the edges, where colours of half the size are spread in another way."""
    return np.asarray(cv2.blur(frame.image, (7, 7)), np.int16)


@pytest.mark.parametrize("size", [(161, 121), (162, 120), (320, 239)])
def test_sizes_that_gstreamer_pads_are_not_shifted(
    gstreamer: None, photograph: Path, size: tuple[int, int]
) -> None:
    seen, plain = (frame_of(photograph, "format=NV12", size, memory) for memory in (GpuFormats(), None))
    assert isinstance(seen.pixels, Nv12Image)
    assert seen.image.shape == plain.image.shape == (size[1], size[0], 3)
    assert np.abs(blurred(seen) - blurred(plain)).mean() < 3


@pytest.mark.parametrize("given", ["BGRx", "BGR"])
def test_pixels_that_lose_nothing_in_bgrx_stay_bgrx(gstreamer: None, photograph: Path, given: str) -> None:
    seen, plain = (frame_of(photograph, f"format={given}", (320, 240), m) for m in (GpuFormats(), None))
    assert isinstance(seen.pixels, np.ndarray)
    assert seen.pixels.strides == (1280, 4, 1)
    np.testing.assert_array_equal(seen.image, plain.image)


def frames_of_two(first: str, second: str) -> tuple[list[Frame], str]:
    """What comes of a pipeline that changes its caps after some frames, and how it ends."""
    bars = (
        "videotestsrc pattern=smpte75 num-buffers=8 ! video/x-raw,width=160,height=120,framerate=10/1,format="
    )
    source = (
        f"gst:concat name=both {bars}{first} ! both. {bars}{second} ! both. both. ! identity sleep-time=20000"
    )
    settings = CameraSettings.model_validate({"source": source, "width": 160, "height": 120})
    camera, frames = open_source(settings, "front", memory=GpuFormats()), []
    camera.open()
    try:
        while True:
            frames.append(camera.read())
    except SourceLost as exc:
        return frames, str(exc)
    finally:
        camera.close()


def assert_bars(frame: Frame) -> None:
    """SMPTE's colours where they belong: grey, yellow, cyan, green, magenta, red, blue."""
    bars = np.array([frame.image[60, (2 * bar + 1) * 160 // 14] for bar in range(7)])
    right = np.array([(1, 1, 1), (0, 1, 1), (1, 1, 0), (0, 1, 0), (1, 0, 1), (0, 0, 1), (1, 0, 0)])
    assert ((bars > 96) == right).all()


@pytest.mark.parametrize(("first", "second"), [("NV12", "BGRx"), ("BGRx", "NV12")])
def test_a_stream_that_changes_its_format_is_lost_and_no_frame_is_mistaken(
    gstreamer: None, first: str, second: str
) -> None:
    frames, reason = frames_of_two(first, second)
    assert f"its frames changed from {first} to {second}" in reason
    assert frames
    for frame in frames:
        assert isinstance(frame.pixels, Nv12Image) == (first == "NV12")
        assert_bars(frame)


def test_a_stream_that_changes_the_meaning_of_its_colours_goes_on(gstreamer: None) -> None:
    frames, reason = frames_of_two("NV12,colorimetry=bt601", "NV12,colorimetry=bt709")
    assert "the stream ended after" in reason
    found = [frame.pixels.colour for frame in frames if isinstance(frame.pixels, Nv12Image)]
    assert len(found) == len(frames)
    assert set(found) <= {BT601, BT709}
    assert found[-1] == BT709
    for frame in (frames[0], frames[-1]):
        assert_bars(frame)


def test_what_caps_do_not_say_is_as_gstreamer_assumes() -> None:
    assert [colour_of("", 480), colour_of("", 576), colour_of("", 720)] == [BT601, BT601, BT709]
    assert colour_of("1:0:0:0", 720) == YuvColour(BT709.red, BT709.blue, full_range=True)
    assert colour_of("0:4:0:0", 720) == BT601


def test_caps_of_pixels_that_nobody_asked_for_are_reported() -> None:
    assert layout_of("video/x-raw, format=(string)NV12, width=(int)6", 6, 3) == RawLayout("NV12", 6, 3)
    with pytest.raises(SourceLost, match=r"GStreamer gives .*I420.*, wanted is one of BGR, BGRx, NV12"):
        layout_of("video/x-raw, format=(string)I420", 6, 3)
