"""The kernel's own source, compiled for the CPU, against the OpenCV path that it replaces."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from host_device import HostDevice
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.types import Box, Floats, Image
from agent.errors import EngineError, ModelError
from agent.inference.bodies.bodyposenet import PAD, framed, letterboxed
from agent.inference.crops import cut, fill_batch, letterbox
from agent.inference.manifest import Input
from agent.inference.trt import gpu_cropper
from agent.inference.trt.compile import with_nvcc
from agent.inference.trt.gpu_cropper import GpuCropper
from agent.inference.trt.upload_cache import FrameUploadCache

# Grey levels of 255. OpenCV before 5 rounds places to 1/32 pixel, so that on noise, the worst there is,
# neighbours mix in other shares; from 5 on only the last rounding differs.
MOST, MEAN = (1.01, 0.1) if int(cv2.__version__.split(".")[0]) >= 5 else (9.0, 1.6)
PLAIN = Input(name="x", shape=("N", 3, 64, 64), offset=0.0, scale=1.0)


def noise(width: int, height: int, seed: int = 1) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def on_device(image: Image, boxes: list[Box], spec: Input, fill: int = 0) -> Floats:
    device = HostDevice()
    height, width = spec.size
    shape = (3, height, width) if spec.layout == "NCHW" else (height, width, 3)
    result = np.zeros((len(boxes), *shape), np.float32)
    target, stream = device.memory(result.nbytes), device.stream()
    uploads, cutter = FrameUploadCache(device), GpuCropper(device, len(boxes))
    cutter.write(0, uploads.upload(image, stream), boxes, spec)
    cutter.launch(len(boxes), spec, target=target, stream=stream, fill=fill)
    device.download(result, target, stream)
    return result


def with_opencv(image: Image, boxes: list[Box], spec: Input) -> Floats:
    return fill_batch([cut(image, box, spec.size) for box in boxes], spec)


def assert_alike(image: Image, boxes: list[Box], spec: Input) -> None:
    apart = np.abs(on_device(image, boxes, spec) - with_opencv(image, boxes, spec)) / spec.scale
    assert apart.max() <= MOST
    assert apart.mean() <= MEAN


def test_a_whole_picture_in_a_square_is_the_same() -> None:
    for width, height in ((640, 480), (1280, 720), (333, 777), (64, 64)):
        image = noise(width, height)
        assert_alike(image, [letterbox(image)], PLAIN)


@settings(max_examples=60)
@given(
    st.floats(-100, 500), st.floats(-100, 400), st.floats(10, 900), st.floats(-math.pi, math.pi),
    st.tuples(st.integers(3, 400), st.integers(3, 300)),
)  # fmt: skip
def test_any_turned_square_is_the_same(
    cx: float, cy: float, side: float, angle: float, size: tuple[int, int]
) -> None:
    assert_alike(noise(*size), [Box(cx, cy, side, angle)], PLAIN)


def test_a_real_scene_is_the_same() -> None:
    clip = cv2.VideoCapture(str(Path(__file__).parents[2] / "data" / "demo.mp4"))
    read, frame = clip.read()
    clip.release()
    assert read
    image = np.asarray(frame, np.uint8)
    boxes = [letterbox(image), Box(200, 150, 120, 0.4), Box(400, 300, 300, -2.0)]
    assert_alike(image, boxes, PLAIN)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("color", ["RGB", "BGR"])
def test_layout_colours_and_range_are_those_of_the_manifest(layout: Any, color: Any) -> None:
    shape: Any = ("N", 3, 288, 384) if layout == "NCHW" else ("N", 288, 384, 3)
    spec = Input(name="x", shape=shape, layout=layout, color=color, offset=128.0, scale=1 / 256)
    image = noise(640, 480)
    assert_alike(image, [letterbox(image), Box(300, 200, 150, 1.0)], spec)


def test_many_hands_of_one_frame_are_cut_in_one_launch() -> None:
    boxes = [Box(50 + 60 * i, 100 + 30 * i, 80 + 20 * i, i / 3) for i in range(8)]
    assert_alike(noise(640, 480), boxes, PLAIN)


def test_what_lies_beyond_the_frame_is_black() -> None:
    far = [Box(-5000, 90, 40), Box(50, 1e7, 900), Box(1e9, 1e9, 1e6, 1.0)]
    assert on_device(noise(100, 100), far, PLAIN).max() == 0


def test_what_lies_beyond_the_frame_can_be_another_grey() -> None:
    image, boxes = noise(200, 100), [Box(0, 0, 120, 0.4), letterbox(noise(200, 100))]
    expected = fill_batch([cut(image, box, PLAIN.size, fill=128) for box in boxes], PLAIN)
    found = on_device(image, boxes, PLAIN, fill=128)
    assert np.abs(found - expected).max() <= MOST
    assert found[1, :, 0, 32].tolist() == [128, 128, 128]


@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (480, 640)])
def test_a_whole_frame_for_bodyposenet_is_the_one_that_opencv_makes(size: tuple[int, int]) -> None:
    spec = Input(name="x", shape=("N", 288, 384, 3), layout="NHWC", offset=0.0, scale=1.0)
    image = np.asarray(cv2.GaussianBlur(noise(*size), (0, 0), 6), np.uint8)
    picture, scale, shift = letterboxed(image, spec.size)
    box, own_scale, own_shift = framed(image, spec.size)
    found = on_device(image, [box], spec, fill=PAD)[0]
    apart = np.abs(found - picture[..., ::-1])
    assert apart.mean() < 1.0
    corner = np.array(size, np.float32)
    assert np.abs((corner * own_scale + own_shift) - (corner * scale + shift)).max() < 1.0


def test_a_part_of_an_array_is_uploaded_row_by_row() -> None:
    image = noise(200, 100)[10:90, 20:150]
    assert not image.flags.c_contiguous
    assert_alike(image, [Box(60, 40, 70, 0.3)], PLAIN)


def test_hands_of_several_cameras_are_cut_in_one_launch() -> None:
    device, images = HostDevice(), [noise(320, 240, 1), noise(640, 480, 2)]
    boxes = [Box(100, 90, 80, 0.4), Box(300, 200, 150, 1.0)]
    result = np.zeros((2, 3, 64, 64), np.float32)
    target, stream = device.memory(result.nbytes), device.stream()
    uploads, cutter = FrameUploadCache(device), GpuCropper(device, 2)
    for number, (image, box) in enumerate(zip(images, boxes, strict=True)):
        cutter.write(number, uploads.upload(image, stream), [box], PLAIN)
    cutter.launch(2, PLAIN, target=target, stream=stream)
    device.download(result, target, stream)
    for image, box, found in zip(images, boxes, result, strict=True):
        assert np.abs(found - with_opencv(image, [box], PLAIN)[0]).max() <= MOST


def test_a_picture_is_uploaded_once_whoever_cuts_from_it() -> None:
    device = HostDevice()
    uploads, image = FrameUploadCache(device), noise(64, 48)
    one, other = device.stream(), device.stream()
    assert uploads.upload(image, one) is uploads.upload(image, other)
    assert device.uploads == 1
    uploads.new_frames()
    uploads.upload(image, one)  # the camera may have filled the same array anew
    assert device.uploads == 2


def test_frames_of_one_size_take_no_new_memory_and_a_larger_one_takes_its_own() -> None:
    device = HostDevice()
    uploads, stream = FrameUploadCache(device), device.stream()
    for seed in range(20):
        uploads.new_frames()
        image = noise(64, 48, seed)
        upload = uploads.upload(image, stream)
    before = (device.allocations, device.live)
    for seed in range(50):
        uploads.new_frames()
        image = noise(64, 48, seed)
        uploads.upload(image, stream)
    assert (device.allocations, device.live) == before
    uploads.new_frames()
    larger = noise(640, 480)
    upload = uploads.upload(larger, stream)
    assert upload.memory.nbytes == larger.nbytes
    assert device.live == before[1]
    uploads.new_frames()
    assert uploads.upload(noise(32, 32), stream).memory.nbytes >= 32 * 32 * 3
    uploads.close()
    assert device.live == 0


@pytest.mark.parametrize("cameras", [1, 3])
def test_the_next_frames_are_uploaded_while_hands_of_those_before_are_still_cut(cameras: int) -> None:
    device = HostDevice()
    uploads, stream, pending = FrameUploadCache(device), device.stream(), device.stream()
    for turn in range(3):
        images = [noise(64, 48, turn * 10 + camera) for camera in range(cameras)]
        uploads.new_frames()
        for image in images:
            uploads.upload(image, stream)
    cut_late: list[int] = []
    for image in images:
        uploads.upload(image, pending)
    pending.ask(lambda: cut_late.append(1))
    uploads.new_frames()
    for camera in range(cameras):
        uploads.upload(noise(64, 48, 90 + camera), stream)
    stream.synchronize()
    assert cut_late == []  # nobody had to wait for it


def test_several_cameras_at_once_keep_their_own_pictures() -> None:
    device = HostDevice()
    uploads, stream = FrameUploadCache(device), device.stream()
    images = [noise(64, 48, seed) for seed in range(5)]
    places = [uploads.upload(image, stream) for image in images]
    assert len({id(place) for place in places}) == 5
    assert [uploads.upload(image, stream) for image in images] == places


def test_a_picture_of_another_kind_is_reported() -> None:
    device = HostDevice()
    with pytest.raises(
        EngineError, match=r"a picture is uint8 \(48, 64\), wanted is uint8 \(height, width, 3\)"
    ):
        FrameUploadCache(device).upload(np.zeros((48, 64), np.uint8), device.stream())


def test_what_the_compiler_refuses_is_reported_with_its_words() -> None:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("nvcc is not here")
    with pytest.raises(ModelError, match=r"nvcc cannot compile for sm_87: .*nonsense"):
        with_nvcc(nvcc, "nonsense;", "sm_87")


def test_the_table_has_as_many_numbers_as_the_kernel_reads() -> None:
    sizes = dict(re.findall(r"#define (CUT|COLOUR) (\d+)", gpu_cropper.source()))
    assert sizes == {"CUT": str(gpu_cropper.NUMBERS), "COLOUR": str(gpu_cropper.COLOUR)}
