"""The renderer, where there is OpenGL without a screen."""

from __future__ import annotations

import numpy as np
import pytest

from training.synthetic.scenes.hands import Array

moderngl = pytest.importorskip(
    "moderngl", reason="moderngl is not here: pip install -r training/synthetic/scenes/requirements.txt"
)

from training.synthetic.scenes.camera_model import Camera, Light  # noqa: E402
from training.synthetic.scenes.picture import Painter  # noqa: E402
from training.synthetic.scenes.props import box, prism  # noqa: E402
from training.synthetic.scenes.webcam import Webcam  # noqa: E402

CAMERA = Camera((0.0, -2.0, 1.0), (0.0, 0.0, 1.0), 60.0)
LIGHT = Light((0.0, -0.8, 0.6), (1, 1, 1), (0, -1, 0), (0.2, 0.2, 0.2), (0.3, 0.3, 0.3), (0.2, 0.2, 0.2))
PLATE = np.full((120, 160, 3), (10, 20, 30), np.uint8)
RED, GREEN = np.array([0.6, 0.02, 0.02]), np.array([0.02, 0.6, 0.02])


@pytest.fixture(scope="module")
def painter() -> Painter:
    try:
        return Painter(160, 120)
    except Exception as exc:  # noqa: BLE001 - glcontext raises what it likes where there is no EGL
        pytest.skip(f"no OpenGL through EGL here: {exc}")


def drawn(painter: Painter, *places: tuple[Array, Array, float]) -> Array:
    """Boxes of 40 cm: colour, centre."""
    solids = [box((0.4, 0.4, 0.4), colour) for colour, _, _ in places]
    painter.stage(PLATE, CAMERA, LIGHT, [s.mesh for s in solids], (0.0, 0, 0, 0))
    return painter.draw(
        [
            s.placed(np.array(at, float), np.eye(3) * size)
            for s, (_, at, size) in zip(solids, places, strict=True)
        ]
    )


def test_without_people_the_room_is_seen(painter: Painter) -> None:
    painter.stage(PLATE, CAMERA, LIGHT, [], (0.0, 0, 0, 0))
    assert np.array_equal(painter.draw([]), PLATE)


def test_what_is_nearer_hides_what_is_behind_it(painter: Painter) -> None:
    near, far = (0.0, -0.5, 1.0), (0.0, 0.5, 1.0)
    for order in ([(RED, near, 1.0), (GREEN, far, 1.0)], [(GREEN, far, 1.0), (RED, near, 1.0)]):
        middle = drawn(painter, *order)[60, 80].astype(int)  # type: ignore[arg-type]
        assert middle[0] > middle[1] + 50


def test_a_thing_is_where_the_camera_says(painter: Painter) -> None:
    at = np.array([0.3, 0.0, 1.2])
    picture = drawn(painter, (RED, at, 0.5)).astype(int)
    rows, columns = np.nonzero(picture[..., 0] > picture[..., 1] + 40)
    x, y, metres = CAMERA.project(at[None], 160 / 120)[0]
    assert columns.mean() == pytest.approx(x * 160, abs=2.5)
    assert rows.mean() == pytest.approx(y * 120, abs=2.5)
    assert metres == pytest.approx(2.0, abs=0.1)


def test_a_shadow_falls_on_what_lies_behind(painter: Painter) -> None:
    wall = (GREEN, np.array([0.0, 0.6, 1.0]), 3.0)
    blocker = (RED, np.array([0.0, -0.2, 1.55]), 0.6)  # above the view, in the way of the light
    lit, shaded = (
        drawn(painter, wall)[:, :, 1].astype(int),
        drawn(painter, wall, blocker)[:, :, 1].astype(int),
    )
    darker = (lit - shaded > 40) & (drawn(painter, wall, blocker)[:, :, 0] < 100)
    assert darker.sum() > 20


def test_the_webcam_sees_the_same_twice(painter: Painter) -> None:
    picture = np.full((480, 640, 3), 120, np.uint8)
    one, same = (Webcam(np.random.default_rng(1)).sees(picture, 7, 3) for _ in range(2))
    other = Webcam(np.random.default_rng(1)).sees(picture, 7, 4)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert one.std() > 0.5


def test_a_cup_is_closed_and_looks_outwards() -> None:
    cup = prism(0.04, 0.1, RED)
    corners = cup.positions[cup.mesh.triangles]
    out = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    centre = corners.mean(axis=1)
    assert ((out * centre).sum(axis=1) > 0).all()
