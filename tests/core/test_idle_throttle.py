from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from agent.core.idle_throttle import LONG_STILL_S, STILL_S, IdleThrottle
from agent.core.motion import coarse_thumbnail, has_changed
from agent.core.types import Image

RNG = np.random.default_rng(0)
ROOM = np.asarray(RNG.integers(40, 200, (480, 640, 3)), np.uint8)


def noisy(image: Image, sigma: float = 6) -> Image:
    """As a camera gives it in poor light."""
    return np.clip(image + RNG.normal(0, sigma, image.shape), 0, 255).astype(np.uint8)


def with_somebody(at: float = 0.0) -> Image:
    """A person of 60 x 100 px, of the brightness of a shirt, who walks."""
    image = ROOM.copy()
    left = 100 + int(200 * at) % 400
    image[200:300, left : left + 60] = 90
    return image


STILL = [noisy(ROOM) for _ in range(4)]


def still(at: float) -> Image:
    return STILL[round(at * 10) % len(STILL)]


def looks(
    rest: IdleThrottle, seconds: range, somebody: bool, picture: Callable[[float], Image] = with_somebody
) -> int:
    """Frames looked at when 10 frames a second come for the given seconds."""
    count = 0
    for tenth in range(seconds.start * 10, seconds.stop * 10):
        at = tenth / 10
        if rest.should_process(at, picture(at)):
            count += 1
            rest.note_detections(at, somebody)
    return count


def test_an_awake_camera_is_looked_at_with_every_frame() -> None:
    assert looks(IdleThrottle(fps=2, after_s=5), range(20), somebody=True, picture=still) == 200


def test_a_new_camera_is_awake() -> None:
    assert looks(IdleThrottle(fps=2, after_s=5), range(5), somebody=False) == 50


def test_nobody_in_view_slows_the_looks_down_to_those_at_what_moves() -> None:
    rest = IdleThrottle(fps=2, after_s=5)
    looks(rest, range(6), somebody=False)
    assert looks(rest, range(6, 16), somebody=False) == 20


def test_a_room_in_which_nothing_moves_is_looked_at_ever_more_rarely() -> None:
    rest = IdleThrottle(fps=2, after_s=5)
    looks(rest, range(6), somebody=False, picture=still)
    looked = [at for at in range(6, 106) if looks(rest, range(at, at + 1), somebody=False, picture=still)]
    between = np.diff(looked)
    assert list(between[:3]) == pytest.approx([2 * STILL_S, 4 * STILL_S, LONG_STILL_S], abs=1)
    assert between[3:] == pytest.approx(LONG_STILL_S, abs=1)


def test_an_idle_camera_knows_when_it_is_looked_at_next_and_an_active_one_looks_at_every_frame() -> None:
    rest = IdleThrottle(fps=4, after_s=5)
    looks(rest, range(5), somebody=False)
    assert rest.next_look_at(4.9) is None
    rest.should_process(6.0, ROOM)
    until = rest.next_look_at(6.0)
    assert until == 6.25
    assert not rest.should_process(until - 0.01, with_somebody())
    assert rest.should_process(until, with_somebody())
    rest.note_detections(until, somebody=True)
    assert rest.next_look_at(until) is None


def test_what_moved_makes_a_still_room_interesting_again() -> None:
    rest = IdleThrottle(fps=2, after_s=5)
    looks(rest, range(60), somebody=False, picture=still)
    assert looks(rest, range(60, 61), somebody=False)
    assert (
        looks(rest, range(61, 62 + round(STILL_S)), somebody=False, picture=still) >= 2
    )  # gone, and still again


def test_whoever_comes_into_a_still_room_is_looked_at_within_one_interval() -> None:
    rest = IdleThrottle(fps=4, after_s=5)
    looks(rest, range(10), somebody=False, picture=still)
    assert any(rest.should_process(10 + tenth / 10, with_somebody()) for tenth in range(4))


def test_the_first_person_wakes_it_to_full_rate() -> None:
    rest = IdleThrottle(fps=2, after_s=5)
    looks(rest, range(10), somebody=False)
    assert rest.is_idle(10.0)
    assert looks(rest, range(10, 11), somebody=True) >= 5
    assert looks(rest, range(11, 12), somebody=True) == 10


def test_a_clip_that_begins_anew_is_looked_at() -> None:
    rest = IdleThrottle(fps=2, after_s=5)
    looks(rest, range(10), somebody=False)
    assert rest.should_process(0.0, ROOM)


def test_light_that_changes_everywhere_is_no_motion_and_a_person_is() -> None:
    before = coarse_thumbnail(noisy(ROOM))
    assert not has_changed(before, coarse_thumbnail(noisy(ROOM)))
    assert not has_changed(before, coarse_thumbnail(noisy(np.asarray(ROOM + 30, np.uint8))))
    assert has_changed(before, coarse_thumbnail(noisy(with_somebody())))


def test_a_cell_of_the_thumbnail_is_the_mean_green_of_its_sixteen_pixels() -> None:
    cells = ROOM[::4, ::4, 1].reshape(30, 4, 40, 4).mean(axis=(1, 3))
    assert np.array_equal(coarse_thumbnail(ROOM), cells)
    assert coarse_thumbnail(ROOM[:-5, :-9]).shape == (29, 39)


def test_a_picture_of_another_size_is_another_one() -> None:
    assert has_changed(coarse_thumbnail(ROOM), coarse_thumbnail(ROOM[:240]))
