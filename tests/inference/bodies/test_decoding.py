"""The decoder against truth: people are drawn as the network is trained to see them, and found again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rendered import JOINTS, SIZE, connected, inside, maps, person, without

from agent.core.types import Floats
from agent.inference.bodies.assembly import Decoding, decode
from agent.inference.bodies.peaks import MOST, find_peaks
from agent.inference.bodies.skeleton import LIMBS, Skeleton

EXACT = 1.5  # px of 384, an eighth of a cell and a half: with no noise
CLOSE = 6.0  # px: with noise, or where two joints of a kind touch


def recovered(found: list[Skeleton], people: list[Floats], within: float) -> None:
    """Each person once, each joint that can be seen within so many pixels, no other joint."""
    assert len(found) == len(people)
    left = list(found)
    for truth in people:
        best = min(left, key=lambda s: np.nan_to_num(distances(s, truth), nan=50).sum())
        left.remove(best)
        seen = np.isfinite(truth[:, 0])
        assert [j for j, s in zip(JOINTS, best.joints[:, 2] > 0, strict=True) if s] == [
            j for j, s in zip(JOINTS, seen, strict=True) if s
        ]
        apart = distances(best, truth)
        assert apart[seen].max() < within, JOINTS[int(np.nanargmax(apart))]


def distances(skeleton: Skeleton, truth: Floats) -> Floats:
    return np.asarray(np.hypot(*(skeleton.joints[:, :2] - truth).T), np.float32)


def found_in(people: list[Floats], noise: float = 0.0, size: tuple[int, int] = SIZE) -> list[Skeleton]:
    return decode(*maps(people, size, noise), size)


@pytest.mark.parametrize("height", [120, 200, 280])
def test_one_person_is_found_to_a_fraction_of_a_cell(height: int) -> None:
    somebody = inside(person(190, 60, height))
    recovered(found_in([somebody]), [somebody], EXACT)


def test_three_people_side_by_side() -> None:
    people = [person(70, 70, 230), person(190, 80, 200), person(310, 60, 240)]
    recovered(found_in(people), people, EXACT)


@pytest.mark.parametrize("size", [(224, 320), (288, 384), (368, 656)])
def test_any_size_of_input_will_do(size: tuple[int, int]) -> None:
    people = [person(size[1] * 0.3, 60, 180), person(size[1] * 0.75, 70, 170)]
    people = [inside(p, size) for p in people]
    recovered(found_in(people, size=size), people, EXACT)


def test_crossed_arms_stay_on_their_own_elbows() -> None:
    crossed = person(190, 70, 250, right_wrist=(0.08, 0.2), left_wrist=(-0.08, 0.16))
    recovered(found_in([crossed]), [crossed], EXACT)


def test_arms_of_two_people_that_cross_are_not_swapped() -> None:
    """Each reaches over to the other's side: the forearms cross in the middle between them."""
    left = person(140, 80, 240, left_elbow=(0.2, 0.12), left_wrist=(0.3, 0.3))
    right = person(250, 80, 240, right_elbow=(-0.2, 0.3), right_wrist=(-0.31, 0.13))
    recovered(found_in([left, right]), [left, right], EXACT)


def test_people_whose_shoulders_touch_stay_two() -> None:
    people = [person(150, 80, 240), person(150 + 0.24 * 240, 80, 240)]
    recovered(found_in(people), people, CLOSE)


def test_hands_that_shake_belong_to_both() -> None:
    left = person(130, 80, 230, left_elbow=(0.18, 0.15), left_wrist=(0.21, 0.28))
    right = person(250, 80, 230, right_elbow=(-0.18, 0.15), right_wrist=(-0.21, 0.28))
    recovered(found_in([left, right]), [left, right], EXACT)


def test_two_right_wrists_at_one_place_are_given_to_one_person_only() -> None:
    left = person(130, 80, 230, right_elbow=(0.1, 0.2), right_wrist=(0.26, 0.3))
    right = person(250, 80, 230, right_elbow=(-0.18, 0.15), right_wrist=(-0.26, 0.3))
    found = found_in([left, right])
    assert len(found) == 2
    assert sum(s.joints[JOINTS.index("right_wrist"), 2] > 0 for s in found) == 1


@pytest.mark.parametrize(
    "hidden",
    [
        ("right_wrist",),
        ("left_ear", "left_eye"),
        ("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
        ("left_elbow",),
    ],
)
def test_what_is_hidden_is_not_invented(hidden: tuple[str, ...]) -> None:
    somebody = without(person(190, 70, 250), *hidden)
    recovered(found_in([somebody]), [connected(somebody)], EXACT)


@pytest.mark.parametrize(("x", "y"), [(2, 60), (382, 60), (190, 3), (190, 285), (0.5, 2.0)])
def test_a_joint_at_the_border_is_found_there(x: float, y: float) -> None:
    """The right wrist is put there; its heat is cut by the border."""
    neck = (min(max(x, 100), 284), min(max(y, 60), 180))
    share = ((x - neck[0]) / 250, (y - neck[1]) / 250)
    between = ((share[0] - 0.12) / 2, (share[1] + 0.01) / 2)
    somebody = inside(person(*neck, 250, right_elbow=between, right_wrist=share))
    recovered(found_in([somebody]), [somebody], EXACT)


def test_a_person_half_beyond_the_picture_is_still_somebody() -> None:
    somebody = inside(person(375, 80, 220))
    recovered(found_in([somebody]), [somebody], EXACT)


@pytest.mark.parametrize("seed", range(5))
def test_noise_moves_joints_a_little_and_adds_nobody(seed: int) -> None:
    people = [person(90, 70, 220), person(280, 70, 230)]
    recovered(decode(*maps(people, noise=0.03, seed=seed), SIZE), people, CLOSE)


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.04])
def test_an_empty_picture_has_nobody_in_it(noise: float) -> None:
    assert decode(*maps([], noise=noise), SIZE) == []


def test_three_joints_are_no_person_and_four_are() -> None:
    body = person(190, 70, 250)
    names = ("neck", "right_shoulder", "right_elbow", "right_wrist")
    four = without(body, *(name for name in JOINTS if name not in names))
    recovered(found_in([four]), [four], EXACT)
    assert found_in([without(four, "right_wrist")]) == []


def test_a_doubtful_person_is_left_out_by_its_score() -> None:
    heatmaps, fields = maps([person(190, 70, 250)])
    weak = decode(heatmaps * 0.3, fields * 0.3, SIZE, Decoding(peak=0.05))
    assert len(weak) == 1
    assert weak[0].score == pytest.approx(0.58, abs=0.05)
    assert decode(heatmaps * 0.3, fields * 0.3, SIZE, Decoding(peak=0.05, score=0.7)) == []


def test_joints_without_fields_are_nobody() -> None:
    heatmaps, fields = maps([person(190, 70, 250)])
    assert decode(heatmaps, np.zeros_like(fields), SIZE) == []


def test_fields_that_point_backwards_are_no_limbs() -> None:
    heatmaps, fields = maps([person(190, 70, 250)])
    assert decode(heatmaps, -fields, SIZE) == []


def test_two_equal_cells_side_by_side_are_one_joint() -> None:
    flat = np.zeros((36, 48, 19), np.float32)
    flat[10, 20:22, 3] = 0.8
    peaks = find_peaks(flat, 0.1)
    assert peaks.joint.tolist() == [3]
    assert (peaks.x[0], peaks.y[0]) == pytest.approx((21.0, 10.5))


def test_a_senseless_map_has_a_bounded_number_of_joints() -> None:
    noise = np.random.default_rng(1).random((36, 48, 19)).astype(np.float32)
    peaks = find_peaks(noise, 0.1)
    assert np.bincount(peaks.joint).tolist() == [MOST] * 18


def test_the_background_is_no_joint() -> None:
    flat = np.zeros((36, 48, 19), np.float32)
    flat[5, 5, 18] = 1
    assert len(find_peaks(flat, 0.1).joint) == 0


# --- at random ---------------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(x=st.floats(0.01, 47.99), y=st.floats(0.01, 35.99), height=st.floats(0.15, 1.0))
def test_a_joint_anywhere_is_placed_within_a_tenth_of_a_cell(x: float, y: float, height: float) -> None:
    ys, xs = np.mgrid[0:36, 0:48] + 0.5
    heat = np.zeros((36, 48, 19), np.float32)
    heat[:, :, 7] = height * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * 0.875**2))
    peaks = find_peaks(heat, 0.1)
    assert peaks.joint.tolist() == [7]
    assert (peaks.x[0], peaks.y[0]) == pytest.approx((x, y), abs=0.1)


ARMS = st.fixed_dictionaries(
    {
        "right_wrist": st.tuples(st.floats(-0.4, -0.22), st.floats(-0.1, 0.36)),
        "left_wrist": st.tuples(st.floats(0.22, 0.4), st.floats(-0.1, 0.36)),
    }
)


@settings(max_examples=20)
@given(
    first=ARMS, second=ARMS, height=st.floats(170, 230), x=st.floats(70, 90),
    hidden=st.sets(st.sampled_from(["nose", "right_ear", "left_knee", "right_ankle", "right_wrist"])),
)  # fmt: skip
def test_two_people_apart_are_found_whatever_their_arms_do(
    first: dict[str, tuple[float, float]],
    second: dict[str, tuple[float, float]],
    height: float,
    x: float,
    hidden: set[str],
) -> None:
    people = [inside(person(x, 60, height, **first)), inside(person(x + 215, 65, height, **second))]
    people = [without(p, *hidden) for p in people]
    recovered(found_in(people), [connected(p) for p in people], EXACT)


@settings(max_examples=40)
@given(
    height=st.integers(1, 12), width=st.integers(1, 12), scale=st.sampled_from([0.0, 0.05, 1.0, 1e6]),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_any_maps_give_sound_people_in_the_picture(height: int, width: int, scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    heat = rng.normal(0, scale, (height, width, 19)).astype(np.float32)
    fields = rng.normal(0, scale, (4 * height, 4 * width, 38)).astype(np.float32)
    size = (8 * height, 8 * width)
    for skeleton in decode(heat, fields, size):
        seen = skeleton.joints[skeleton.joints[:, 2] > 0]
        assert skeleton.found >= 4
        assert np.isfinite(skeleton.joints).all()
        assert (seen[:, :2] >= -8).all()
        assert (seen[:, :2] <= np.array([size[1], size[0]]) + 8).all()


@settings(max_examples=6)
@given(order=st.permutations(range(3)))
def test_the_order_of_people_does_not_matter(order: list[int]) -> None:
    people = [person(70, 70, 230), person(190, 80, 200), person(310, 60, 240)]
    recovered(found_in([people[i] for i in order]), people, EXACT)


def test_mirroring_the_picture_mirrors_the_people() -> None:
    somebody = person(150, 70, 250, right_wrist=(-0.3, -0.1))
    mirror = [JOINTS.index(_other(name)) for name in JOINTS]
    mirrored = somebody[mirror].copy()
    mirrored[:, 0] = SIZE[1] - mirrored[:, 0]
    (one,), (two,) = found_in([somebody]), found_in([mirrored])
    back = two.joints[mirror].copy()
    back[:, 0] = SIZE[1] - back[:, 0]
    np.testing.assert_allclose(one.joints[:, :2], back[:, :2], atol=0.05)


def _other(name: str) -> str:
    if name.startswith("left_"):
        return name.replace("left_", "right_")
    return name.replace("right_", "left_")


def test_every_joint_hangs_on_a_limb() -> None:
    assert {joint for limb in LIMBS for joint in limb} == set(range(len(JOINTS)))
