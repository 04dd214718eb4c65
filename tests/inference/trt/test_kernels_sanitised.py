"""The kernels under the address and the undefined behaviour sanitiser, in memory that ends where it must."""

from __future__ import annotations

import math
import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.core.nv12 import BT601, BT709, Nv12Image, YuvColour, rows_of
from agent.core.types import Box, Floats, Image, Pixels, bgr_of
from agent.inference.crops import cut, fill_batch
from agent.inference.manifest import Input
from agent.inference.trt.gpu_cropper import numbers_of, source

HERE = Path(__file__).parent
FLAGS = [
    "-fsanitize=address,undefined,float-cast-overflow,float-divide-by-zero", "-fno-sanitize-recover=all",
    "-O1", "-g", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror",
]  # fmt: skip
SPEC = Input(name="x", shape=("N", 3, 33, 47), offset=0.0, scale=1.0)  # ends within a block of threads
MOST = 1.01 if int(cv2.__version__.split(".")[0]) >= 5 else 9.0  # grey levels of 255; see test_gpu_cropper


@dataclass(frozen=True)
class Program:
    """The kernel's own source as a program of this machine."""

    path: Path

    def run(self, cases: Sequence[Case]) -> list[Floats]:
        """What the kernel wrote for each case. Fails with the sanitiser's words."""
        given, written = self.path.with_suffix(".cases"), self.path.with_suffix(".out")
        given.write_bytes(struct.pack("<i", len(cases)) + b"".join(case.packed for case in cases))
        done = subprocess.run(
            [str(self.path), str(given), str(written)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[:3000]
        found = np.fromfile(written, np.float32)
        ends = np.cumsum([case.floats for case in cases])[:-1]
        return [array.reshape(case.shape) for array, case in zip(np.split(found, ends), cases, strict=True)]


@dataclass(frozen=True)
class Case:
    """A frame, (height, width, 3 or 4) or NV12, and what is cut out of it."""

    frame: Pixels
    boxes: Sequence[Box]
    spec: Input = SPEC
    fill: int = 0
    numbers: Floats | None = field(default=None)  # instead of those of the boxes

    @property
    def shape(self) -> tuple[int, ...]:
        height, width = self.spec.size
        one = (height, width, 3) if self.spec.layout == "NHWC" else (3, height, width)
        return (len(self.boxes), *one)

    @property
    def floats(self) -> int:
        return math.prod(self.shape)

    @property
    def packed(self) -> bytes:
        frame, spec, numbers = self.frame, self.spec, self.numbers
        height, width, step = frame.shape
        lies, colour, data = (0, width * step, step), (0.0,) * 6, frame
        if isinstance(frame, Nv12Image):
            pitch = frame.data.shape[1]
            lies, colour, data = (frame.luma_rows * pitch, pitch, 1), frame.colour.coefficients, frame.data
        if numbers is None:
            numbers = numbers_of((height, width, 3), self.boxes, spec.size)
        out_height, out_width = spec.size
        how = (
            spec.layout == "NHWC",
            spec.color == "RGB",
            len(self.boxes),
            self.fill,
            spec.offset,
            spec.scale,
        )
        head = struct.pack("<9i9f", data.nbytes, *lies, out_width, out_height, *how, *colour)
        return head + data.tobytes() + numbers.tobytes()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler here to compile the kernels for the CPU (apt install g++)")
    made = tmp_path_factory.mktemp("sanitised") / "kernels"
    parts = [HERE / "host.h", None, HERE / "host_launch.h", HERE / "host_cases.h"]
    text = "\n".join(part.read_text(encoding="utf-8") if part else source() for part in parts)
    made.with_suffix(".cpp").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [compiler, *FLAGS, "-o", str(made), str(made.with_suffix(".cpp"))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "asan" in done.stderr and "cannot find" in done.stderr:
        pytest.skip("the compiler has no sanitisers here (apt install libasan8)")
    assert done.returncode == 0, done.stderr
    return Program(made)


def noise(width: int, height: int, step: int = 3) -> Image:
    return np.random.default_rng(width * 7 + height).integers(0, 256, (height, width, step), dtype=np.uint8)


def demand_opencvs_numbers(program: Program, cases: Sequence[Case]) -> None:
    for case, found in zip(cases, program.run(cases), strict=True):
        bgr = np.ascontiguousarray(bgr_of(case.frame)[..., :3])
        cuts = [cut(bgr, box, case.spec.size, case.fill) for box in case.boxes]
        most = MOST + isinstance(case.frame, Nv12Image)  # its conversion may round otherwise
        assert np.abs(found - fill_batch(cuts, case.spec)).max() <= most * case.spec.scale


def packed_nv12(width: int, height: int, colour: YuvColour = BT601, more: int = 0) -> Nv12Image:
    """Noise in NV12 of as few bytes as there can be, and `more` between the rows."""
    pitch = width + width % 2 + more
    rng = np.random.default_rng(width * 7 + height)
    return Nv12Image(rng.integers(0, 256, (rows_of(height), pitch), np.uint8), height, width, colour)


FRAMES = {"BGR": partial(noise, step=3), "BGRx": partial(noise, step=4), "NV12": packed_nv12}


@pytest.mark.parametrize("made", FRAMES)
def test_cuts_at_the_borders_and_beyond_read_and_write_nothing_that_is_not_theirs(
    program: Program, made: str
) -> None:
    cases = []
    for width, height in ((1, 1), (2, 3), (7, 5), (64, 48), (161, 120)):
        across, down = (-1, 0, 0.5, width - 1, width, width + 1), (-2, 0, height, height + 2)
        boxes = [
            Box(x, y, side, angle)
            for x in across
            for y in down
            for side in (1, 20, 66, 67, 99, 150)  # from 2 pixels for one of the cut on, blocks are averaged
            for angle in (0, 0.7, math.pi / 2)
        ]
        cases.append(Case(FRAMES[made](width, height), boxes, fill=128))
    demand_opencvs_numbers(program, cases)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_every_layout_fills_its_memory_and_no_more(program: Program, layout: str) -> None:
    shapes = [(1, 1), (1, 33), (8, 32), (9, 31), (17, 65)]
    cases = []
    for height, width in shapes:
        shape = ("N", 3, height, width) if layout == "NCHW" else ("N", height, width, 3)
        spec = Input.model_validate({"name": "x", "shape": shape, "layout": layout, "color": "RGB"})
        cases.append(Case(noise(40, 30), [Box(20, 15, 18, 0.3), Box(0, 0, 9)], spec))
    demand_opencvs_numbers(program, cases)


def test_cuts_without_size_and_far_away_are_harmless(program: Program) -> None:
    far = [Box(x, y, 30, 1.0) for x in (-1e9, 0, 3e38) for y in (-3e38, 0, 1e9)]
    flat = [Box(20, 15, side, angle) for side in (0.0, 1e-30, -5.0) for angle in (0.0, 2.0)]
    huge = [Box(20, 15, side, angle) for side in (1e4, 1e6, 1e9, 1e20) for angle in (0.0, 0.5)]
    (found,) = program.run([Case(noise(40, 30), [*far, *flat, *huge], fill=77)])
    assert np.isfinite(found).all()
    assert (found[[0, 2, 6, 8]] == 77).all()  # beyond the frame on both axes
    assert 0 <= found.min() <= found.max() <= 255


def test_numbers_that_are_none_are_outside(program: Program) -> None:
    """What a network that has gone mad would ask for."""
    matrices = [np.nan, np.inf, -np.inf]
    numbers = np.zeros((len(matrices), 11), np.float32)
    numbers[:, :6] = np.array(matrices, np.float32)[:, None]
    numbers[:, 8:] = 40, 30, 1
    boxes = [Box(0, 0, 1)] * len(matrices)
    (found,) = program.run([Case(noise(40, 30), boxes, fill=9, numbers=numbers)])
    assert (found == 9).all()


def test_a_frame_of_the_largest_camera_shrunk_to_a_few_pixels_is_averaged(program: Program) -> None:
    """A block of 3000 x 3000 white pixels: its sum is beyond what 31 bits hold."""
    spec = Input(name="x", shape=("N", 3, 2, 2), offset=0.0, scale=1.0)
    white = np.full((6100, 6100, 3), 255, np.uint8)
    (found,) = program.run([Case(white, [Box(3050, 3050, 6000)], spec)])
    assert found.min() > 240  # a little of what lies beyond the frame is mixed in
    assert found.max() == 255


def test_any_cut_of_any_frame(program: Program) -> None:
    rng = np.random.default_rng(23)
    cases = []
    for number in range(60):
        width, height, step = (int(n) for n in rng.integers((1, 1, 2), (300, 200, 5)))
        colour = replace((BT601, BT709)[number % 2], full_range=number % 4 > 1)
        frame = packed_nv12(width, height, colour, 2 * number) if step == 2 else noise(width, height, step)
        boxes = [
            Box(*(float(n) for n in rng.uniform((-100, -100, 0.1, -4), (400, 300, 700, 4)))) for _ in range(6)
        ]
        cases.append(Case(frame, boxes, fill=int(rng.integers(256))))
    demand_opencvs_numbers(program, cases)
