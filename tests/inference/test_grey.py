import cv2
import numpy as np

from agent.inference.grey import is_grey, skin_toned


def noisy(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    smooth = cv2.resize(rng.integers(0, 256, (12, 16, 3)).astype(np.uint8), (320, 240))
    return np.asarray(smooth, np.uint8)


def through_a_camera(image: np.ndarray) -> np.ndarray:
    return np.asarray(
        cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 1), np.uint8
    )


def test_a_grey_picture_is_painted_also_after_compression():
    grey = cv2.cvtColor(cv2.cvtColor(noisy(1), cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    for image in (grey, through_a_camera(grey)):
        assert is_grey(image)
        blue, green, red = skin_toned(image).reshape(-1, 3).mean(axis=0)
        assert blue < green < red


def test_a_picture_with_colours_is_left_alone():
    image = noisy(2)
    assert not is_grey(image)
    assert skin_toned(image) is image


def test_a_grey_room_with_somebody_in_it_has_colours():
    room = np.full((240, 320, 3), 128, np.uint8)
    room[80:160, 100:180] = (90, 120, 190)  # a hand: 8 % of the picture
    assert not is_grey(room)
