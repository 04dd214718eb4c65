"""NV12 images: conversion, thumbnails, what is black and what is the same."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from nv12_images import as_nv12

from agent.capture.liveness import Liveness, same
from agent.core.motion import coarse_thumbnail, has_changed
from agent.core.nv12 import BT601, BT709, Nv12Image, YuvColour
from agent.core.types import Frame, Image
from agent.inference.grey import is_grey, skin_toned

FULL = YuvColour(full_range=True)
FULL709 = YuvColour(BT709.red, BT709.blue, full_range=True)
COLOURS = [BT601, BT709, FULL, FULL709]


@pytest.fixture(scope="module")
def photographs(shared_data: Path) -> list[Image]:
    paths = sorted((shared_data / "photos").rglob("*.jpg"))[::1500]
    assert len(paths) > 2
    return [np.asarray(cv2.imread(str(path)), np.uint8) for path in paths]


def test_photographs_are_converted_as_opencv_converts_them(photographs: list[Image]) -> None:
    """OpenCV knows BT.601 in limited range only, and even sizes."""
    for picture in photographs:
        image = np.ascontiguousarray(picture[: len(picture) // 2 * 2, : picture.shape[1] // 4 * 4])
        nv12 = as_nv12(image)
        expected = cv2.cvtColor(nv12.data, cv2.COLOR_YUV2BGR_NV12)
        assert np.abs(nv12.bgr.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("colour", COLOURS)
def test_every_colour_in_every_matrix_and_range_comes_back(colour: YuvColour) -> None:
    levels = (0, 1, 60, 128, 200, 255)
    every = np.array(list(itertools.product(levels, repeat=3)), np.uint8).reshape(12, 18, 3)
    blocks = every.repeat(2, axis=0).repeat(2, axis=1)
    assert np.abs(as_nv12(blocks, colour).bgr.astype(int) - blocks).max() <= 3  # of 255: rounded to bytes


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 5), (48, 64), (33, 47)])
def test_sizes_that_are_odd_and_rows_that_are_padded_change_nothing(size: tuple[int, int]) -> None:
    image = cv2.resize(np.arange(12, dtype=np.uint8).reshape(2, 2, 3) * 20, size[::-1])
    image = np.asarray(image, np.uint8).reshape(*size, 3)
    narrow, wide = as_nv12(image), as_nv12(image, pitch=80)
    assert narrow.bgr.shape == image.shape == narrow.shape
    np.testing.assert_array_equal(narrow.bgr, wide.bgr)
    assert np.abs(narrow.bgr.astype(int) - image).mean() < 12  # one colour for four pixels
    assert same(narrow, as_nv12(image))


def test_a_thinned_image_is_every_nth_pixel(photographs: list[Image]) -> None:
    for step in (2, 16):
        for image in (photographs[0], photographs[1][:-1, :-1]):
            nv12 = as_nv12(image)
            np.testing.assert_array_equal(nv12.thinned(step), nv12.bgr[::step, ::step])


def test_it_is_converted_once_and_only_when_asked(photographs: list[Image]) -> None:
    frame = Frame("front", 0, 0.0, as_nv12(photographs[0]))
    assert (frame.height, frame.width) == photographs[0].shape[:2]
    coarse_thumbnail(frame.pixels)
    is_grey(frame.pixels)
    assert "bgr" not in vars(frame.pixels)
    assert frame.image is frame.image


def test_motion_is_seen_as_in_its_bgr_image(photographs: list[Image]) -> None:
    """Not the same levels: brightness instead of green; the same answers."""
    still = photographs[0]
    moved = still.copy()
    moved[60:140, 60:140] = 255 - moved[60:140, 60:140]
    for colour in COLOURS:
        one, again, other = (coarse_thumbnail(as_nv12(image, colour)) for image in (still, still, moved))
        assert one.shape == coarse_thumbnail(still).shape
        assert not has_changed(one, again)
        assert has_changed(one, other)
        scaled = np.ptp(one) / np.ptp(coarse_thumbnail(as_nv12(still).bgr))
        assert 0.8 < scaled < 1.25


def test_a_black_picture_is_black_though_its_bytes_are_not_zero() -> None:
    for colour in COLOURS:
        dark = [as_nv12(np.zeros((48, 64, 3), np.uint8), colour) for _ in range(3)]
        grey = [as_nv12(np.full((48, 64, 3), 40, np.uint8), colour) for _ in range(3)]
        assert [fault_of(dark), fault_of(grey)] == ["black", "frozen"]


def fault_of(images: list[Nv12Image]) -> str | None:
    liveness = Liveness(0.0, 2.0)
    for seq, image in enumerate(images):
        liveness.update(Frame("front", seq, 1.0 + 2 * seq, image))
    return liveness.fault(5.0, 3.0)


def test_grey_pictures_are_tinted_and_colourful_ones_are_not(photographs: list[Image]) -> None:
    for image in photographs:
        flat = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        colourful, grey = as_nv12(image), as_nv12(np.asarray(flat, np.uint8))
        assert is_grey(grey)
        assert is_grey(colourful) == is_grey(image)
        assert skin_toned(colourful) is colourful or is_grey(image)
        assert isinstance(skin_toned(grey), np.ndarray)


def test_data_of_another_size_is_reported() -> None:
    with pytest.raises(ValueError, match=r"NV12 of 5 x 3 has 6 rows of at least 6 bytes, not 4 of 5"):
        Nv12Image(np.zeros((4, 5), np.uint8), 3, 5)
