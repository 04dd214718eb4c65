"""Frames in page-locked memory: copied to the device from where a camera's pipe put them, as BGR or BGRx."""

from __future__ import annotations

import ctypes
import gc
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import structlog
from host_device import HostDevice
from nv12_images import as_nv12
from tensorrt_double import Behaviour, double

from agent.capture.liveness import same
from agent.config.settings import RecognitionSettings, TensorRtSettings
from agent.core.frame_memory import FrameMemory, packed_bgr
from agent.core.motion import coarse_thumbnail
from agent.core.nv12 import BT601, BT709, YuvColour
from agent.core.types import Box, Detections, Floats, Frame, Image, Pixels, bgr_of
from agent.inference import engine as engines_module
from agent.inference.build import build_recognizer
from agent.inference.crops import letterbox
from agent.inference.engine import EngineOptions
from agent.inference.grey import is_grey
from agent.inference.manifest import Input
from agent.inference.trt.engine import TensorRtEngine
from agent.inference.trt.frame_memory import PinnedFrameMemory
from agent.inference.trt.gpu_context import GpuContext
from agent.inference.trt.gpu_cropper import GpuCropper
from agent.inference.trt.library import Library
from agent.inference.trt.upload_cache import FrameUploadCache
from agent.web.preview import packed

SPEC = Input(name="x", shape=("N", 3, 96, 96), offset=0.0, scale=1.0)
CLIP = Path(__file__).parents[2] / "data" / "demo.mp4"


def in_memory(memory: FrameMemory, image: Image, channels: int) -> Image:
    """A copy of an image in BGR (3) or BGRx (4) pixels, as a pipe would have filled it."""
    height, width = image.shape[:2]
    block = memory.new(height * width * channels).reshape(height, width, channels)
    block[..., :3] = image
    block[..., 3:] = 0xAA
    return block[..., :3]


def in_format(memory: FrameMemory, image: Image, pixel_format: str) -> Pixels:
    """The same in one of the formats that a pipe may be read in."""
    if pixel_format == "NV12":
        return as_nv12(image, memory=memory.new)
    return in_memory(memory, image, len(pixel_format))


def scenes(count: int) -> list[Image]:
    clip = cv2.VideoCapture(str(CLIP))
    found = [np.asarray(clip.read()[1], np.uint8) for _ in range(count)]
    clip.release()
    return found


def boxes_in(image: Pixels) -> list[Box]:
    """The whole, a turned hand, beyond two borders, one that is shrunk by blocks of 2, one by larger ones."""
    height, width = image.shape[:2]
    boxes = [letterbox(image), Box(width / 2, height / 2, 90, 0.5), Box(width - 3, height - 2, 80, -1.1)]
    return [*boxes, Box(20, 10, 2.3 * 96, 0.2), Box(width / 3, height / 3, 4.6 * 96, 2.0)]


def cuts(uploads: FrameUploadCache, device: HostDevice, image: Pixels) -> Floats:
    boxes = boxes_in(image)
    result = np.zeros((len(boxes), 3, 96, 96), np.float32)
    target, stream, cutter = device.memory(result.nbytes), device.stream(), GpuCropper(device, len(boxes))
    uploads.new_frames()
    cutter.write(0, uploads.upload(image, stream), boxes, SPEC)
    cutter.launch(len(boxes), SPEC, target=target, stream=stream)
    device.download(result, target, stream)
    cutter.close()
    target.free()
    return result


@pytest.mark.parametrize("channels", [3, 4])
def test_cuts_of_a_frame_are_the_same_from_wherever_it_is_copied(channels: int) -> None:
    device = HostDevice()
    uploads = FrameUploadCache(device)
    for image in scenes(3):
        for given in (image, image[:, 1:], image[::2, ::2]):  # also of odd widths
            pinned = in_memory(uploads.frames, given, channels)
            np.testing.assert_array_equal(cuts(uploads, device, pinned), cuts(uploads, device, given.copy()))


def test_photographs_of_bgrx_pixels_are_cut_as_opencvs_conversion_of_them(shared_data: Path) -> None:
    paths = sorted((shared_data / "photos").rglob("*.jpg"))[::900]
    assert len(paths) > 3
    device = HostDevice()
    uploads = FrameUploadCache(device)
    for path in paths:
        bgra = cv2.cvtColor(np.asarray(cv2.imread(str(path)), np.uint8), cv2.COLOR_BGR2BGRA)
        pinned = in_memory(uploads.frames, np.asarray(bgra[..., :3], np.uint8), 4)
        converted = np.asarray(cv2.cvtColor(bgra, cv2.COLOR_BGRA2BGR), np.uint8)
        np.testing.assert_array_equal(cuts(uploads, device, pinned), cuts(uploads, device, converted))


@pytest.mark.parametrize("colour", [BT601, BT709, YuvColour(full_range=True)])
def test_photographs_in_nv12_are_cut_as_their_conversion_wherever_they_lie(
    shared_data: Path, colour: YuvColour
) -> None:
    """BT.601 against OpenCV's own conversion; it has no other."""
    paths = sorted((shared_data / "photos").rglob("*.jpg"))[::1500]
    device = HostDevice()
    uploads = FrameUploadCache(device)
    for number, path in enumerate(paths):
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        image = image[: len(image) // 2 * 2 - number % 2, : image.shape[1] // 4 * 4]  # odd heights, too
        pinned, pageable = as_nv12(image, colour, memory=uploads.frames.new), as_nv12(image, colour)
        converted = pinned.bgr
        if colour == BT601 and not number % 2:
            converted = np.asarray(cv2.cvtColor(pinned.data, cv2.COLOR_YUV2BGR_NV12), np.uint8)
        found = cuts(uploads, device, pinned)
        apart = np.abs(found - cuts(uploads, device, converted))
        assert apart.max() <= 2.01  # grey levels of 255: the conversion and then the cut round otherwise
        assert apart.mean() < 0.1
        np.testing.assert_array_equal(found, cuts(uploads, device, pageable))


def test_a_camera_whose_frames_change_their_format_is_followed() -> None:
    """Sizes in bytes differ, sizes in pixels do not."""
    device = HostDevice()
    uploads, image = FrameUploadCache(device), scenes(1)[0]
    for pixel_format in ("NV12", "BGRx", "NV12", "BGR", "BGRx"):
        frame = in_format(uploads.frames, image, pixel_format)
        expected = cuts(uploads, device, np.array(bgr_of(frame)))
        assert np.abs(cuts(uploads, device, frame) - expected).max() <= 2.01


def test_nv12_takes_three_bytes_for_two_pixels_on_the_device_and_is_not_copied_before() -> None:
    device = HostDevice()
    uploads, stream, image = FrameUploadCache(device), device.stream(), scenes(1)[0]
    frame = as_nv12(image, memory=uploads.frames.new)
    before = device.allocations
    upload = uploads.upload(frame, stream)
    assert device.allocations == before + 1  # its place on the device, none on the host
    assert upload.memory.nbytes == image.shape[0] * image.shape[1] * 3 // 2
    assert uploads.upload(frame, stream) is upload
    assert "bgr" not in vars(frame)


def test_what_looks_at_frames_on_the_cpu_sees_the_same_in_bgrx() -> None:
    memory = PinnedFrameMemory(HostDevice())
    first, other = (np.asarray(cv2.resize(image, (1280, 720)), np.uint8) for image in scenes(40)[::39])
    seen, again, others = (in_memory(memory, image, 4) for image in (first, first, other))
    assert same(seen, again)
    assert not same(seen, others)
    np.testing.assert_array_equal(coarse_thumbnail(seen), coarse_thumbnail(first))
    assert is_grey(seen) == is_grey(first)
    np.testing.assert_array_equal(packed_bgr(seen), first)
    pictures = [packed(Detections(Frame("front", 0, 0.0, image), people=0)) for image in (seen, first)]
    assert pictures[0] == pictures[1]


def test_a_frame_of_page_locked_memory_is_not_copied_before_its_upload() -> None:
    device = HostDevice()
    uploads, stream, image = FrameUploadCache(device), device.stream(), scenes(1)[0]
    frame = in_memory(uploads.frames, image, 4)
    before = device.allocations
    upload = uploads.upload(frame, stream)
    assert device.allocations == before + 1  # its place on the device, none on the host
    assert upload.memory.nbytes == image.shape[0] * image.shape[1] * 4
    frame[0, 0] = (1, 2, 3)  # too early: the device has not copied yet, and copies from here
    stream.synchronize()
    assert ctypes.string_at(upload.memory.address, 4) == b"\x01\x02\x03\xaa"


def test_memory_is_given_out_again_when_nobody_holds_the_frame_nor_copies_it() -> None:
    device = HostDevice()
    uploads, stream = FrameUploadCache(device), device.stream()
    memory = uploads.frames
    first = memory.new(48 * 64 * 4)
    address = first.ctypes.data
    view = first.reshape(48, 64, 4)[..., :3]
    del first
    assert memory.new(48 * 64 * 4).ctypes.data != address  # a view holds it
    uploads.upload(view, stream)
    del view
    assert memory.new(48 * 64 * 4).ctypes.data != address  # the upload that was started holds it
    for _ in range(2):
        uploads.new_frames()
        uploads.upload(np.zeros((48, 64, 3), np.uint8), stream)
    uploads.new_frames()
    uploads.upload(np.zeros((48, 64, 3), np.uint8), stream)
    gc.collect()
    again = [memory.new(48 * 64 * 4) for _ in range(3)]
    assert address in [frame.ctypes.data for frame in again]


def test_no_more_is_page_locked_than_allowed_and_what_is_not_is_copied() -> None:
    device = HostDevice()
    memory = PinnedFrameMemory(device, most_bytes=2 * 48 * 64 * 4)
    frames = [memory.new(48 * 64 * 4) for _ in range(4)]
    assert [memory.holds(frame.reshape(48, 64, 4)) for frame in frames] == [True, True, False, False]
    assert device.allocations == 2
    uploads, stream = FrameUploadCache(device), device.stream()
    image = scenes(1)[0]
    ordinary = in_memory(PinnedFrameMemory(device, most_bytes=0), image, 4)
    np.testing.assert_array_equal(cuts(uploads, device, ordinary), cuts(uploads, device, image))
    assert uploads.upload(ordinary, stream).step == 3


def test_a_system_that_locks_no_memory_is_told_once() -> None:
    device = HostDevice(refuses_pinned=True)
    memory = PinnedFrameMemory(device)
    with structlog.testing.capture_logs() as logs:
        assert memory.new(100).nbytes == memory.new(100).nbytes == 100
    assert [entry["event"] for entry in logs] == ["frames_not_pinned"]


def test_threads_of_several_cameras_never_get_the_same_memory() -> None:
    memory, wrong = PinnedFrameMemory(HostDevice(strict=True)), []

    def camera(number: int) -> None:
        kept: list[Image] = []
        for turn in range(200):
            frame = memory.new(4096)
            frame[:] = number
            kept = [*kept[-3:], frame]
            wrong.extend(turn for image in kept if not (image == number).all())

    threads = [threading.Thread(target=camera, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


class OnHostDevice(TensorRtEngine):
    """The backend with a device of the test's own."""

    room: GpuContext

    def __init__(self, name: str, path: Path, *, options: EngineOptions | None = None) -> None:
        super().__init__(name, path, options=options, context=OnHostDevice.room)


@pytest.mark.parametrize(("where", "wanted"), [("gpu", ("NV12", "BGRx")), ("cpu", ("BGR",))])
def test_cameras_are_asked_for_what_the_networks_take(
    cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, wanted: tuple[str, ...]
) -> None:
    device, behaviour = HostDevice(strict=True), Behaviour()
    behaviour.streams = device
    library = Library(double("10.13.0", behaviour), rtx=False)
    with device.current():
        OnHostDevice.room = GpuContext(library, device, FrameUploadCache(device), tmp_path)
    monkeypatch.setitem(engines_module.BACKENDS, "tensorrt", f"{__name__}:OnHostDevice")
    settings = RecognitionSettings.model_validate(
        {
            "backend": "tensorrt",
            "gestures": "gesturenet",
            "tensorrt": TensorRtSettings(precision="fp32", frames=where).model_dump(),  # type: ignore[arg-type]
        }
    )
    recognizer = build_recognizer(settings, cache_dir)
    assert recognizer.frame_memory.pixel_formats == wanted
    for pixel_format in wanted:
        pixels = in_format(recognizer.frame_memory, scenes(70)[-1], pixel_format)
        (detections,) = recognizer.recognize([Frame("front", 0, 0.0, pixels)])
        assert detections.people == 1
        assert "bgr" not in getattr(pixels, "__dict__", {})  # nobody on the CPU has asked
        recognizer.forget("front")
    recognizer.close()
