"""Somebody in view: told when it is sure, without flicker."""

from __future__ import annotations

from agent.core.occupancy import APPEARS_S, LEAVES_S, Occupancy

FPS = 10


def told(seen: str) -> list[tuple[float, bool]]:
    """Changes of a timeline of ten frames a second; `#` somebody, `.` nobody."""
    occupancy = Occupancy()
    changes = [(n / FPS, occupancy.update(n / FPS, frame == "#")) for n, frame in enumerate(seen)]
    return [(at, change) for at, change in changes if change is not None]


def test_somebody_who_comes_is_reported_after_a_moment_and_whoever_left_after_a_while():
    seen = "#" * 20 + "." * 120
    assert told(seen) == [(APPEARS_S, True), (2 + LEAVES_S, False)]


def test_a_short_glimpse_of_a_person_or_of_nobody_changes_nothing():
    assert told("." * 101 + "###" + "." * 20) == [(LEAVES_S, False)]
    assert told("#" * 10 + "." * 90 + "#" * 10) == [(APPEARS_S, True)]


def test_a_camera_that_does_not_look_knows_nothing():
    occupancy = Occupancy()
    assert not occupancy.reset()
    assert [occupancy.update(at, True) for at in (0.0, 1.0)] == [None, True]
    assert occupancy.reset()
    assert occupancy.occupied is None
    assert [occupancy.update(at, True) for at in (60.0, 61.0)] == [None, True]
