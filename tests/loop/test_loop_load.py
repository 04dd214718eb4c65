"""Whether the loop has more to look at than it can."""

from __future__ import annotations

from agent.loop.load import OVER_S, Load


def at_work(seconds: int, took_s: float, cameras: tuple[str, ...] = ("front",)) -> Load:
    """Ten looks a second that take so long each."""
    load = Load(0.0)
    for tenth in range(seconds * 10):
        load.record(tenth / 10 + took_s, took_s, cameras)
    return load


def test_it_says_which_share_of_the_time_it_looks_and_how_often_at_each_camera() -> None:
    report = at_work(10, 0.02, ("back", "front")).report(10.0)
    assert report == {"busy": 0.2, "saturated": False, "looks": {"back": 10.0, "front": 10.0}}


def test_with_no_time_left_it_is_saturated() -> None:
    assert at_work(10, 0.1).report(10.0)["saturated"]


def test_it_is_about_the_last_minute() -> None:
    load = at_work(10, 0.1)
    assert load.report(10 + OVER_S / 2)["busy"] == 0.25
    assert load.report(11 + OVER_S) == {"busy": 0.0, "saturated": False, "looks": {}}


def test_more_looks_than_it_remembers_are_counted_over_the_time_that_it_remembers() -> None:
    load = Load(0.0)
    for milli in range(0, 50_000, 5):
        load.record(milli / 1000 + 0.001, 0.001, ["front"])
    report = load.report(50.0)
    assert report["busy"] == 0.2
    assert report["looks"] == {"front": 200.0}
