from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from agent.core.types import Box, Image
from agent.inference.crops import cut, fill_batch, letterbox, points_in_picture, sampling
from agent.inference.manifest import Input


def dotted(x: int, y: int, shape: tuple[int, int] = (200, 300)) -> Image:
    image = np.zeros((*shape, 3), np.uint8)
    image[y - 3 : y + 3, x - 3 : x + 3] = 255
    return image


def middle_of_light(image: Image) -> tuple[float, float]:
    ys, xs = np.nonzero(image[..., 0] > 60)
    return float(xs.mean() + 0.5), float(ys.mean() + 0.5)


def test_a_box_that_is_as_large_as_its_cut_copies_the_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 255, (100, 120, 3), np.uint8)
    np.testing.assert_array_equal(cut(image, Box(60, 50, 40), (40, 40)), image[30:70, 40:80])


@pytest.mark.parametrize("side", [60.0, 100.0, 190.0, 400.0])
@pytest.mark.parametrize("angle", [0.0, 0.5, -2.0, math.pi])
def test_a_point_of_a_cut_is_where_it_was_in_the_picture(side: float, angle: float) -> None:
    image, box = dotted(160, 90), Box(150, 100, side, angle)
    at = middle_of_light(cut(image, box, (96, 96)))
    placed = points_in_picture(np.array([at], np.float32), box, (96, 96))[0]
    assert placed == pytest.approx((160, 90), abs=side / 96)


def test_the_boxs_up_is_the_cuts_up() -> None:
    right_of_the_middle = dotted(190, 100)
    x, y = middle_of_light(cut(right_of_the_middle, Box(150, 100, 120, math.pi / 2), (96, 96)))
    assert x == pytest.approx(48, abs=1.5)
    assert y < 24


def test_beyond_the_frame_it_is_black() -> None:
    image = np.full((50, 50, 3), 200, np.uint8)
    picture = cut(image, Box(0, 0, 40), (40, 40))
    assert picture[:20].max() == 0
    assert picture[25:, 25:].min() == 200
    assert cut(image, Box(-500, 900, 400), (20, 20)).max() == 0


def test_a_strongly_shrunk_picture_is_averaged_not_skipped() -> None:
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.ptp(cut(stripes, letterbox(stripes), (64, 64))[4:-4, 4:-4].astype(int)) < 10


def test_a_wide_picture_is_letterboxed() -> None:
    image = np.full((60, 120, 3), 255, np.uint8)
    picture = cut(image, letterbox(image), (100, 100))
    assert picture[:24].max() == 0
    assert picture[27:73].min() == 255


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("color", ["RGB", "BGR"])
def test_a_batch_has_the_layout_colours_and_range_of_its_manifest(layout: str, color: str) -> None:
    shape = ("N", 3, 8, 8) if layout == "NCHW" else ("N", 8, 8, 3)
    spec = Input.model_validate(
        {"name": "x", "shape": shape, "layout": layout, "color": color, "offset": 128, "scale": 1 / 256}
    )
    blue = np.zeros((8, 8, 3), np.uint8)
    blue[..., 0] = 255
    batch = fill_batch([blue, blue], spec)
    assert batch.shape == (2, 3, 8, 8) if layout == "NCHW" else (2, 8, 8, 3)
    assert batch.dtype == np.float32
    assert batch.flags.c_contiguous
    pixel = batch[1, :, 4, 4] if layout == "NCHW" else batch[1, 4, 4]
    lit, dark = 127 / 256, -0.5
    assert list(pixel) == pytest.approx([dark, dark, lit] if color == "RGB" else [lit, dark, dark])


@pytest.mark.parametrize("seed", range(40))
def test_a_crop_holds_what_sampling_the_whole_picture_gives(seed: int):
    rng = np.random.default_rng(seed)
    image = cv2.GaussianBlur(rng.integers(0, 256, (240, 320, 3)).astype(np.uint8), (5, 5), 0)
    side = float(np.exp(rng.uniform(np.log(20), np.log(700))))
    box = Box(rng.uniform(-60, 380), rng.uniform(-60, 300), side, rng.uniform(-3, 3))
    size = ((96, 96), (64, 96))[seed % 2]
    how = sampling((240, 320), box, size)
    part = image[how.top : how.top + how.high * how.factor, how.left : how.left + how.wide * how.factor]
    small = cv2.resize(part, (how.wide, how.high), interpolation=cv2.INTER_AREA)
    whole = cv2.warpAffine(
        small, how.matrix, size[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=(9, 9, 9)
    )
    assert np.abs(cut(image, box, size, 9).astype(int) - whole).max() <= 1
