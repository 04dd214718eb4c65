"""When and where BlazePose's tracker looks for people, and how it tells them apart."""

from __future__ import annotations

import numpy as np
import pytest

from agent.core.types import Box, Image, Pose
from agent.inference.bodies.blazepose import PoseTracker
from agent.inference.bodies.deduplication import TRUNK
from agent.inference.bodies.tiling import tiles_of
from agent.inference.stopwatch import Stopwatch

ROOM: Image = np.zeros((480, 640, 3), np.uint8)
WHOLE, *PARTS = tiles_of(ROOM)


class Net:
    """Finds bodies where a test puts them: middle of the hips (px) and size (px, hips to head)."""

    def __init__(self, *bodies: tuple[float, float, float]) -> None:
        self.bodies = list(bodies)
        self.looks: list[list[Box]] = []
        self.read_at: list[Box] = []

    def detect(self, image: Image, views: list[Box]) -> list[Box]:  # noqa: ARG002
        self.looks.append(views)
        return [region(body) for body in self.bodies for _ in views]

    def read(self, image: Image, regions: list[Box]) -> list[tuple[Pose, Box] | None]:  # noqa: ARG002
        self.read_at = regions
        found: list[tuple[Pose, Box] | None] = []
        for box in regions:
            body = min(self.bodies, key=lambda b: np.hypot(b[0] - box.cx, b[1] - box.cy), default=None)
            found.append((pose(body), region(body)) if body else None)
        return found


def region(body: tuple[float, float, float]) -> Box:
    x, y, size = body
    return Box(x, y, 2.5 * size)


def pose(body: tuple[float, float, float]) -> Pose:
    x, y, size = body
    joints = [(x + sx * size / 4, y - up * size * 0.6, 1.0) for up in (1, 0) for sx in (1, -1)]
    return Pose(np.array(joints, np.float32), TRUNK, 1.0)


def tracker(net: Net, people: int = 2, look_around_s: float = 0.5) -> PoseTracker:
    return PoseTracker(net, people, look_around_s)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "halves", "parts"),
    [
        ((480, 640), 0, 3),
        ((720, 1280), 2, 4),
        ((1080, 1920), 2, 4),
        ((540, 1920), 4, 7),
        ((640, 480), 0, 4),
        ((160, 120), 0, 0),
    ],
)
def test_a_wide_picture_has_more_views_and_a_small_one_only_itself(
    shape: tuple[int, int], halves: int, parts: int
) -> None:
    whole, *squares = tiles_of(np.zeros((*shape, 3), np.uint8))
    height, width = shape
    assert (whole.cx, whole.cy, whole.side) == (width / 2, height / 2, max(shape))
    assert [square.side == height for square in squares] == [True] * halves + [False] * parts
    for square in squares:
        assert square.side / 2 <= square.cx <= width - square.side / 2
        assert square.side / 2 <= square.cy <= 0.75 * height
    for x in range(0, width, 10) if squares else ():
        assert any(abs(square.cx - x) <= square.side / 2 for square in squares[:halves] or squares)


def test_the_first_look_is_at_everything() -> None:
    net = Net((320, 300, 100))
    tracker(net).update(ROOM, 0.0, Stopwatch())
    assert net.looks == [[WHOLE, *PARTS]]


def test_an_empty_room_is_looked_at_whole_in_every_frame_and_its_parts_in_turn() -> None:
    net = Net()
    eye = tracker(net)
    for i in range(9):
        assert eye.update(ROOM, i / 15, Stopwatch()) == []
    assert all(look[0] == WHOLE for look in net.looks)
    assert {(part.cx, part.cy) for look in net.looks[1:] for part in look[1:]} == {
        (part.cx, part.cy) for part in PARTS
    }
    assert max(len(look) for look in net.looks[1:]) == 2


def test_while_there_is_room_one_view_is_looked_at_now_and_then() -> None:
    net = Net((320, 300, 100))
    eye = tracker(net)
    for i in range(21):  # two seconds
        (person,) = eye.update(ROOM, i / 10, Stopwatch())
        assert person.id == 0
    assert [len(look) for look in net.looks[1:]] == [1] * 4
    assert {look[0].cx for look in net.looks[1:]} == {view.cx for view in (WHOLE, *PARTS)}


def test_a_full_room_is_not_searched() -> None:
    net = Net((200, 300, 100), (450, 300, 100))
    eye = tracker(net)
    for i in range(30):
        assert len(eye.update(ROOM, i / 15, Stopwatch())) == 2
    assert len(net.looks) == 1


def test_two_at_one_table_are_two_and_whom_several_views_show_is_one() -> None:
    net = Net((300, 300, 100), (360, 300, 95))  # a quarter of a region apart
    assert [person.id for person in tracker(net).update(ROOM, 0.0, Stopwatch())] == [0, 1]
    assert len(net.read_at) == 2


def test_a_body_imagined_in_another_is_none() -> None:
    net = Net((320, 300, 100), (330, 285, 40))
    (person,) = tracker(net).update(ROOM, 0.0, Stopwatch())
    assert person.region.side == 250
    assert len(net.read_at) == 2
