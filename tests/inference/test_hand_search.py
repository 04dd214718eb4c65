"""Where hands that are not followed are looked for: a double tells which squares the detector was given."""

from __future__ import annotations

import numpy as np
import pytest

from agent.core.types import Box, Image
from agent.inference.hands.candidates import Arm, Candidate
from agent.inference.hands.palm import Palm
from agent.inference.hands.search import SEARCH_S, HandSearch

ROOM: Image = np.zeros((480, 640, 3), np.uint8)
ARM = Arm(0, "right", Box(200, 200, 60, 0.5), hangs=False)
HANGING = Arm(0, "left", Box(400, 300, 60), hangs=True)


class Palms:
    """Finds one palm in every square that reaches it and is at least so large (px)."""

    def __init__(self, at: tuple[float, float] | None = None, least: float = 0.0) -> None:
        self.at, self.least = at, least
        self.asked: list[Box] = []

    def find(self, image: Image, regions: list[Box]) -> list[list[Palm]]:  # noqa: ARG002
        self.asked += regions
        return [[self._palm()] if self._sees(region) else [] for region in regions]

    def _sees(self, region: Box) -> bool:
        if self.at is None or region.side < self.least:
            return False
        return max(abs(self.at[0] - region.cx), abs(self.at[1] - region.cy)) < region.side / 2

    def _palm(self) -> Palm:
        assert self.at
        return Palm(Box(*self.at, 60), 0.9, np.zeros((9, 2), np.float32))


def search(palms: Palms, proposal: str = "pose") -> HandSearch:
    return HandSearch(palms, proposal, 4)  # type: ignore[arg-type]


def look(eye: HandSearch, at: float, arm: Arm = ARM) -> list[Candidate]:
    return eye.more(ROOM, at, [arm], [], body=True)


def test_an_arm_is_searched_upright_then_along_it_then_without_a_palm() -> None:
    palms = Palms()
    eye = search(palms)
    said = [look(eye, i * SEARCH_S) for i in range(4)]
    assert [region.angle for region in palms.asked] == [0.0, ARM.box.angle, 0.0]
    assert all(region.side > 2 * ARM.box.side for region in palms.asked)
    assert said == [[], [], [Candidate(ARM.box, 0.0, 0, "right")], []]


def test_between_two_searches_for_an_arm_it_is_left_alone() -> None:
    palms = Palms()
    eye = search(palms)
    for at in np.arange(0, 1.0, 1 / 30):
        look(eye, float(at))
    assert len(palms.asked) <= 5


def test_a_palm_that_the_detector_finds_with_some_air_around_it_only() -> None:
    (found,) = look(search(Palms((200, 190), least=150)), 0.0)
    assert (found.person, found.arm, found.score) == (0, "right", 0.9)


def test_the_palm_of_another_arm_in_the_same_square_is_not_taken() -> None:
    other = Arm(1, "left", Box(270, 200, 60), hangs=False)
    found = search(Palms((270, 200))).more(ROOM, 0.0, [ARM, other], [], body=True)
    assert [(c.person, c.arm) for c in found] == [(1, "left")]


def test_an_arm_that_hangs_is_not_searched() -> None:
    palms = Palms((400, 300))
    assert look(search(palms), 0.0, HANGING) == []
    assert palms.asked == []


def test_a_hand_that_is_known_begins_anew_when_it_is_lost() -> None:
    palms = Palms()
    eye = search(palms)
    look(eye, 0.0)
    eye.more(ROOM, 0.3, [ARM], [Candidate(ARM.box, 1.0, 0, "right")], body=True)
    look(eye, 0.6)
    assert [region.angle for region in palms.asked] == [0.0, 0.0]


@pytest.mark.parametrize(("proposal", "count"), [("pose", 0), ("palm", 2), ("both", 2)])
def test_a_photograph_is_searched_at_large_too(proposal: str, count: int) -> None:
    palms = Palms((320, 240))
    found = search(palms, proposal).at_large(ROOM, [HANGING], [])
    assert len(palms.asked) == count
    assert len(found) == min(count, 1)  # seen near and from afar it is one


def test_at_large_a_hand_on_a_hanging_arm_is_none_and_a_known_one_is_not_new() -> None:
    assert search(Palms((400, 300)), "both").at_large(ROOM, [HANGING], []) == []
    known = Candidate(Box(320, 240, 60), 0.9)
    assert search(Palms((320, 240)), "both").at_large(ROOM, [], [known]) == []
