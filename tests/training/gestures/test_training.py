"""What GestureNet proper learns from: turned pictures, whose landmarks and labels turn with them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from training.gestures.hands.crops import RANDOM, SHARES, STORED, Pictures, chances, draw, stored_points
from training.gestures.hands.cutout import cut_out, into
from training.gestures.hands.poses import KINDS
from training.gestures.hands.rois import Roi

SIZE = 96
ROOMS = [np.full((STORED, STORED, 3), 90, np.uint8)]


def pictures(
    count: int = 1, *, label: int = 2, thumb: float = np.nan, at: tuple[float, float] = (88, 60)
) -> Pictures:
    """Grey pictures with one white blob where landmark 8 is."""
    image = np.full((STORED, STORED, 3), 60, np.uint8)
    cv2.circle(image, (round(at[0]), round(at[1])), 7, (255, 255, 255), -1)
    points = np.full((21, 2), STORED / 2, np.float32)
    points[8] = at
    return Pictures(
        images=np.stack([image] * count),
        label=np.full(count, label),
        thumb=np.full(count, thumb),
        free=np.zeros(count, bool),
        lean=np.zeros(count),
        group=np.array(["photo/a"] * count),
        source=np.array(["photo"] * count),
        mask=np.zeros(count, bool),
        points=np.stack([points] * count),
        cut=np.full(count, -1),
        cutouts=np.zeros((0, STORED, STORED), np.uint8),
    )


@pytest.mark.parametrize("seed", range(12))
def test_a_landmark_moves_with_the_picture(seed: int) -> None:
    image, _, points = draw(pictures(), 0, SIZE, np.random.default_rng(seed), ROOMS)
    x, y = (points[8] + 1) / 2 * SIZE
    bright = cv2.GaussianBlur(image.astype(np.float32).mean(2), (0, 0), 2)
    around = bright[max(0, int(y) - 5) : int(y) + 6, max(0, int(x) - 5) : int(x) + 6]
    assert around.max() > np.quantile(bright, 0.97)


def test_the_same_seed_draws_the_same_picture() -> None:
    a, b = (draw(pictures(), 0, SIZE, np.random.default_rng(3), ROOMS) for _ in range(2))
    assert np.array_equal(a[0], b[0])
    assert np.array_equal(a[2], b[2])


def test_a_turned_thumb_is_named_by_where_it_then_points() -> None:
    """Landmark 8 stands for the thumb's tip: straight above the middle, so the thumb points up."""
    p = pictures(label=-1, thumb=0.0, at=(STORED / 2, 48))
    up = down = 0
    for seed in range(200):
        _, label, points = draw(p, 0, SIZE, np.random.default_rng(seed), ROOMS)
        x, y = points[8] - points[0]
        steep = np.degrees(np.arctan2(abs(x), -y))  # 0: up, 180: down
        if label == 0:
            up += 1
            assert steep < 75
        else:
            down += 1
            assert label == RANDOM
            assert steep > 60
    assert up > 50
    assert down > 20


def test_a_picture_without_a_hand_has_no_landmarks() -> None:
    p = pictures(label=RANDOM)
    p.points[:] = np.nan
    assert np.isnan(draw(p, 0, SIZE, np.random.default_rng(0), ROOMS)[2]).all()


def test_landmarks_of_the_photograph_become_landmarks_of_the_upright_square() -> None:
    roi = Roi(cx=300, cy=200, side=100, angle=0.7)
    centre_and_corner = np.array([[300.0, 200.0], [380.0, 280.0]])  # the square's half side is 1.6 x 50
    assert stored_points(centre_and_corner, roi) == pytest.approx(np.array([[88, 88], [176, 176]]))


def test_sources_held_out_are_never_drawn_and_classes_are_even() -> None:
    p = pictures(600)
    p.label[:] = np.arange(600) % 6
    p.source[:] = np.where(
        np.arange(600) % 10 < 3, "held", np.where(np.arange(600) % 10 < 6, "render", "photo")
    )
    chance = chances(p, without=("held",))
    assert chance[p.source == "held"].sum() == 0
    for label in range(5):
        assert chance[p.label == label].sum() == pytest.approx(0.14, abs=0.001)
    assert chance[p.label == RANDOM].sum() == pytest.approx(0.3, abs=0.001)


def test_posed_hands_lives_and_photographs_have_their_shares_of_every_class() -> None:
    p = pictures(40)
    p.label = np.array([*[2] * 20, *[RANDOM] * 20])
    p.source = np.array(["render", "live", "live", "anton", "desk"] * 8)
    p.group = p.source
    chance = chances(p)
    for label in (2, RANDOM):
        of = p.label == label
        drawn = {
            "render": chance[of & (p.source == "render")].sum(),
            "live": chance[of & (p.source == "live")].sum(),
            "photographs": chance[of & np.isin(p.source, ("anton", "desk"))].sum(),
        }
        assert {name: share / chance[of].sum() for name, share in drawn.items()} == pytest.approx(SHARES)


def test_most_kinds_of_rendered_hands_are_none_of_the_five_gestures() -> None:
    labels = [kind.label for kind in KINDS.values()]
    assert labels.count("random") > len(labels) / 2
    assert set(labels) == {"thumb", "fist", "stop", "ok", "two", "random"}


def drawn_hand() -> tuple[np.ndarray, np.ndarray]:
    """A flat open hand, skin-coloured on a bluish wall with noise, and its landmarks."""
    rng = np.random.default_rng(0)
    points = np.zeros((21, 2), np.float32)
    points[0] = (88, 140)
    for finger in range(5):
        base = np.array([58 + 15 * finger, 105 if finger else 125], np.float32)
        up = np.array([(finger - 2) * 5, -16], np.float32)
        points[1 + 4 * finger : 5 + 4 * finger] = base + up * np.arange(4)[:, None]
    image = np.full((STORED, STORED, 3), (90, 110, 140), np.uint8)
    for finger in range(5):
        chain = points[[0, *range(1 + 4 * finger, 5 + 4 * finger)]]
        cv2.polylines(image, [chain.astype(np.int32)], False, (205, 150, 120), 13)
    cv2.fillConvexPoly(image, cv2.convexHull(points[[0, 1, 5, 9, 13, 17]].astype(np.int32)), (205, 150, 120))
    return np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8), points


def test_a_hand_is_cut_out_along_its_edge_and_put_into_another_room() -> None:
    image, points = drawn_hand()
    truth = image[..., 0].astype(int) > image[..., 2].astype(int) + 20
    hand = cut_out(image, points) > 127
    assert (hand & truth).sum() / (hand | truth).sum() > 0.85
    room = np.full_like(image, 255)
    moved = into(room, image, cut_out(image, points))
    assert (moved[:20] == 255).all()  # no wall came along
    assert abs(int(moved[110, 88, 0]) - int(image[110, 88, 0])) <= 2
