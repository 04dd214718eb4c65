"""Which cameras there are: the kernel's structures, a driver that answers them, a machine of folders."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.capture import v4l2_query as v4l2
from agent.capture.camera_list import CameraInfo, list_cameras, users_of, without_cameras
from agent.capture.v4l2_query import VideoDevice, VideoMode, query

MJPG, YUYV = (int.from_bytes(name, "little") for name in (b"MJPG", b"YUYV"))
WEBCAM = VideoDevice("C920", "uvcvideo", "usb-1", True, (VideoMode("MJPG", 1280, 720, 30.0),), False)


SIZES = {MJPG: [(1920, 1080), (1280, 720)], YUYV: [(640, 480)]}
RATES = {(1920, 1080): [(1, 15)], (1280, 720): [(1, 30), (1, 15)], (640, 480): [(1, 30)]}


class WebcamDriver:
    """Answers as the kernel's uvcvideo does: lists that end with EINVAL."""

    def __init__(self, offers: int = v4l2.CAPTURE, *, busy: bool = False) -> None:
        self._offers, self._busy = offers, busy

    def __call__(self, request: int, structure: ctypes.Structure) -> None:
        assert request >> 16 & 0x3FFF == ctypes.sizeof(structure)
        match structure:
            case v4l2.Capability():
                structure.card, structure.driver, structure.bus_info = b"C920", b"uvcvideo", b"usb-1"
                structure.capabilities = v4l2.CAPTURE | v4l2.DEVICE_CAPS  # of all nodes of the camera
                structure.device_caps = self._offers  # of this one
            case v4l2.FormatDescription():
                structure.pixelformat = self._nth(list(SIZES), structure.index)
            case v4l2.FrameSize():
                size = self._nth(SIZES[structure.pixel_format], structure.index)
                structure.type, (structure.values[0], structure.values[1]) = v4l2.DISCRETE, size
            case v4l2.FrameInterval():
                rates = RATES[(structure.width, structure.height)]
                structure.type = v4l2.DISCRETE
                structure.values[0], structure.values[1] = self._nth(rates, structure.index)
            case v4l2.RequestBuffers() if self._busy:
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    @staticmethod
    def _nth(values: list, index: int):
        if index >= len(values):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return values[index]


class RangeDriver(WebcamDriver):
    """Gives any size between two, as the drivers of MIPI cameras do, and never ends its list of formats."""

    def __call__(self, request: int, structure: ctypes.Structure) -> None:
        match structure:
            case v4l2.FormatDescription():
                structure.pixelformat = YUYV
            case v4l2.FrameSize():
                structure.type = 3  # V4L2_FRMSIZE_TYPE_STEPWISE
                structure.values[:] = (32, 2592, 2, 16, 1944, 2)
            case v4l2.FrameInterval():
                raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
            case _:
                super().__call__(request, structure)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_the_structures_are_those_of_the_kernels_header(tmp_path: Path):
    names = ["QUERYCAP", "ENUM_FMT", "REQBUFS", "ENUM_FRAMESIZES", "ENUM_FRAMEINTERVALS"]
    prints = "".join(f'printf("%lu\\n", (unsigned long) VIDIOC_{name});' for name in names)
    code = f"#include <stdio.h>\n#include <linux/videodev2.h>\nint main(void) {{ {prints} return 0; }}"
    program = tmp_path / "numbers"
    subprocess.run(["gcc", "-x", "c", "-", "-o", str(program)], input=code, text=True, check=True)
    said = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    assert [int(number) for number in said] == [getattr(v4l2, name) for name in names]


def test_a_webcam_says_its_name_and_every_size_with_its_highest_rate():
    found = query(WebcamDriver())
    assert (found.name, found.driver, found.bus, found.captures, found.busy) == (
        "C920", "uvcvideo", "usb-1", True, False,
    )  # fmt: skip
    assert list(map(str, found.modes)) == [
        "MJPG 1920x1080 at 15/s",
        "MJPG 1280x720 at 30/s",
        "YUYV 640x480 at 30/s",
    ]


def test_a_node_that_gives_metadata_is_no_camera():
    assert query(WebcamDriver(offers=0x0080_0000)).captures is False


def test_a_range_of_sizes_is_reported_by_its_largest_and_a_list_without_end_ends():
    found = query(RangeDriver())
    assert (found.modes[0], len(found.modes)) == (VideoMode("YUYV", 2592, 1944, 0.0), v4l2.MOST)


def test_one_that_another_program_streams_from_is_busy():
    assert query(WebcamDriver(busy=True)).busy


def test_what_is_no_v4l2_device_says_so():
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        v4l2.query_device(Path("/dev/null"))


# --- the machine --------------------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    for folder in ("dev", "proc", "sys/class/video4linux"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def device(machine: Path, name: str, *, kernel_name: str = "") -> Path:
    node = machine / "dev" / name
    node.touch()
    if kernel_name:
        folder = machine / "sys/class/video4linux" / name
        folder.mkdir()
        (folder / "name").write_text(f"{kernel_name}\n")
    return node


def the_only(machine: Path, answer: VideoDevice | int) -> CameraInfo:
    def ask(path: Path) -> VideoDevice:
        if isinstance(answer, int):
            raise OSError(answer, os.strerror(answer), str(path))
        return answer

    [camera] = list_cameras(machine, ask)
    return camera


def test_cameras_come_in_the_order_of_their_numbers_and_without_metadata_nodes(machine: Path):
    nodes = [device(machine, name) for name in ("video10", "video2", "video3")]
    metadata = VideoDevice("C920", "uvcvideo", "usb-1", False, (), False)
    found = list_cameras(machine, lambda path: metadata if path == nodes[2] else WEBCAM)
    assert [camera.device for camera in found] == [str(nodes[1]), str(nodes[0])]


def test_a_camera_is_named_by_its_own_id_where_there_is_one(machine: Path):
    node = device(machine, "video0")
    by_id = machine / "dev/v4l/by-id"
    by_id.mkdir(parents=True)
    (by_id / "usb-C920-video-index0").symlink_to(node)
    assert the_only(machine, WEBCAM).source == f"v4l2:{by_id}/usb-C920-video-index0"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errno.EACCES, "usermod -aG video"),
        (errno.EPERM, "usermod -aG video"),
        (errno.EBUSY, "in use by another program"),
        (errno.ENODEV, "plug it in again"),
        (errno.ENOTTY, "no camera of the kernel"),
        (errno.EIO, "cannot be opened: Input/output error"),
    ],
)
def test_why_one_cannot_be_opened_is_reported_with_the_name_that_the_kernel_knows(
    machine: Path, error: int, said: str
):
    device(machine, "video0", kernel_name="C920")
    camera = the_only(machine, error)
    assert camera.name == "C920"
    assert said in (camera.problem or "")


def test_who_uses_a_busy_camera_is_named(machine: Path):
    node = device(machine, "video0")
    (machine / "proc/4711/fd").mkdir(parents=True)
    (machine / "proc/4711/fd/3").symlink_to(node)
    (machine / "proc/4711/comm").write_text("cheese\n")
    busy = VideoDevice("C920", "uvcvideo", "usb-1", True, (), True)
    camera = the_only(machine, busy)
    assert camera.used_by == ("4711 cheese",)
    assert "in use by 4711 cheese" in (camera.problem or "")


def test_a_real_process_that_holds_a_file_open_is_found(tmp_path: Path):
    held = tmp_path / "held"
    held.touch()
    code = f"file = open({str(held)!r}); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        users = list(users_of(held))
        process.communicate("\n")
    assert [user.partition(" ")[0] for user in users] == [str(process.pid)]


def test_the_size_to_show_first_is_the_largest_that_is_fast_enough():
    modes = tuple(VideoMode("MJPG", *size) for size in ((1920, 1080, 30), (1280, 720, 30), (640, 480, 30)))
    assert CameraInfo("/dev/video0", "", "", modes=modes).best_mode == modes[1]
    slow = (VideoMode("YUYV", 1280, 720, 5.0),)
    assert CameraInfo("/dev/video0", "", "", modes=slow).best_mode == slow[0]


def test_cameras_of_the_kernel_that_a_container_does_not_have_are_reported(machine: Path):
    node = device(machine, "video0", kernel_name="C920")
    node.unlink()
    assert "C920" in without_cameras(machine)
    assert "--device /dev/video0" in without_cameras(machine)


def test_without_any_camera_other_sources_are_named(machine: Path):
    assert list_cameras(machine) == []
    assert '"rtsp://.."' in without_cameras(machine)
