"""How a scene is filmed: larger pictures show the same people, wider ones more of the room."""

from __future__ import annotations

import numpy as np
import pytest

from training.synthetic.scenes.camera_model import Camera
from training.synthetic.scenes.scene import SIZE, Film, widened
from training.synthetic.scenes.webcam import Webcam

ROOM = np.arange(120 * 160 * 3, dtype=np.uint32).reshape(120, 160, 3).astype(np.uint8)


@pytest.mark.parametrize("size", [(160, 120), (320, 240), (960, 720), (1280, 720), (1920, 1080)])
def test_people_are_as_high_in_a_picture_of_any_size_and_in_its_middle(size: tuple[int, int]) -> None:
    camera = Camera((0.0, -2.0, 1.0), (0.0, 0.0, 1.0), 60.0)
    points = np.random.default_rng(0).uniform((-0.8, -0.5, 0.5), (0.8, 0.5, 1.5), (20, 3))
    plain = camera.project(points, 4 / 3)
    _, times = widened(ROOM, size)
    filmed = camera.wider(times).project(points, size[0] / size[1])
    np.testing.assert_allclose(filmed[:, 1:], plain[:, 1:], atol=1e-9)
    np.testing.assert_allclose((filmed[:, 0] - 0.5) * times, plain[:, 0] - 0.5, atol=1e-9)


def test_a_wider_picture_has_the_room_in_its_middle_and_more_of_it_beside() -> None:
    wide, times = widened(ROOM, (240, 120))
    assert times == 1.5
    np.testing.assert_array_equal(wide[:, 40:200], ROOM)
    np.testing.assert_array_equal(wide[:, :40], ROOM[:, 1:41][:, ::-1])


def test_a_picture_of_the_rooms_own_shape_is_the_room() -> None:
    same, times = widened(ROOM, (160, 120))
    assert times == 1
    np.testing.assert_array_equal(same, ROOM)


def test_a_higher_picture_than_there_is_room_is_refused() -> None:
    with pytest.raises(SystemExit, match="120x160: rooms are 160x120"):
        widened(ROOM, (120, 160))


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080)])
def test_smaller_pixels_have_more_noise(size: tuple[int, int]) -> None:
    def noise(width: int, height: int) -> float:
        grey = np.full((height, width, 3), 120, np.uint8)
        return float(Webcam(np.random.default_rng(4)).sees(grey, 7, 3).std())

    assert noise(*size) > 1.2 * noise(640, 480)


def test_parts_that_were_measured_before_there_were_sizes_have_the_first() -> None:
    assert Film.of({"seconds": 120.0, "fps": 10.0}) == Film(120.0, 10.0, SIZE)
    assert Film.of({"seconds": 60.0, "fps": 15.0, "size": [1280, 720]}) == Film(60.0, 15.0, (1280, 720))
