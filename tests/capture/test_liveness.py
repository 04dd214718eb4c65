import numpy as np
import pytest

from agent.capture.liveness import START_S, Liveness
from agent.core.types import Frame

rng = np.random.default_rng(1)
A, B = (rng.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(2))


def fed(*shown: tuple[float, np.ndarray], frozen: np.ndarray | None = None) -> Liveness:
    """Opened at 0 s, lost after 3 s."""
    liveness = Liveness(0.0, 3.0, frozen)
    for seq, (at, image) in enumerate(shown):
        liveness.update(Frame("front", seq, at, image))
    return liveness


def test_a_picture_that_changes_is_fine():
    assert fed((1, A), (2, B), (3, A), (4, B)).fault(4.5, 3) is None


def test_the_same_picture_is_borne_for_a_while_and_then_is_frozen():
    liveness = fed((1, A), (2, A.copy()), (3, A.copy()), (4, A.copy()))
    assert liveness.fault(4.1, 3) is None
    liveness.update(Frame("front", 4, 4.2, A.copy()))
    assert liveness.fault(4.2, 3) == "frozen"


@pytest.mark.parametrize("where", [(0, 0, 0), (47, 63, 2), (5, 7, 1)])
def test_one_changed_byte_anywhere_is_a_new_picture(where):
    other = A.copy()
    other[where] ^= 1
    assert fed((1, A), (2, A), (3, A), (4, other), (5, other)).fault(5, 3) is None


def test_a_new_size_is_a_new_picture():
    assert fed((1, A), (3, A[:24]), (5, A[:24])).fault(5, 3) is None


def test_no_picture_gets_the_source_a_little_time_to_say_so_itself():
    liveness = fed((1, A), (2, B))
    assert liveness.fault(5.9, 3) is None
    assert liveness.fault(6.1, 3) == "hangs"


def test_opening_may_take_longer_than_a_stall():
    assert fed().fault(START_S - 0.1, 3) is None
    assert fed().fault(START_S + 0.1, 3) == "hangs"


def test_a_camera_that_was_frozen_is_believed_when_its_picture_changes():
    assert not fed((1, A), (2, A), frozen=A.copy()).is_live
    assert fed((1, A), (2, A), (3, B), frozen=A.copy()).is_live


def test_frames_a_second_are_those_that_came():
    assert fed(*((number / 20, A) for number in range(30))).fps == pytest.approx(20)
    assert fed((1, A)).fps == 0


def test_pictures_that_are_all_zero_are_black():
    dark = np.zeros((48, 64, 3), np.uint8)
    assert fed((1, dark), (2, dark.copy()), (5, dark.copy())).fault(5, 3) == "black"
    dark[47, 63] = 1
    assert fed((1, dark), (2, dark.copy()), (5, dark.copy())).fault(5, 3) == "frozen"


def test_frames_that_are_skipped_show_that_the_camera_lives_but_not_that_its_picture_is_frozen():
    liveness = fed((1, A), (2, B))
    for at in (3, 4, 5, 6, 7, 8):
        liveness.skipped(at)
    assert liveness.fault(8, 3) is None
    assert (liveness.next_at, liveness.fps) == (9, 1)
    liveness.update(Frame("front", 2, 9, B.copy()))
    assert liveness.fault(9, 3) == "frozen"
    assert liveness.fault(13.1, 3) == "hangs"
