"""Swipes and waves."""

from __future__ import annotations

import pytest
from rule_scenario import NORMAL, Play, rule

from agent.core.rules import RuleEngine, RuleSet
from agent.core.types import GestureEnded, GestureHeld, Place


def swipe(
    dx: float, dy: float, *, seconds: float = 0.4, start: float = 0.5
) -> dict[float, tuple[float, float]]:
    """A hand of a fifth of the frame's height that moves from the middle by shares of the frame."""
    frames = round(seconds * 10)
    steps = {start + i / 10: (0.5 + dx * i / frames, 0.5 + dy * i / frames) for i in range(1, frames + 1)}
    return {0.0: (0.5, 0.5), **steps}


MOVES = tuple(rule(f"to-{way}", "stop", trigger="move", move=way) for way in ("left", "right", "up", "down"))


@pytest.mark.parametrize(
    ("dx", "dy", "fired"),
    [
        (0.4, 0.0, "to-left"),
        (-0.4, 0.0, "to-right"),
        (0.0, -0.45, "to-up"),
        (0.0, 0.45, "to-down"),
        (0.4, 0.1, "to-left"),
    ],
)
def test_a_swipe_goes_the_way_that_the_person_sees_it(dx: float, dy: float, fired: str) -> None:
    assert [name for _, name in Play(*MOVES).show("S" * 12, path=swipe(dx, dy))] == [fired]


@pytest.mark.parametrize(
    "path", [swipe(0.1, 0), swipe(0.35, 0.42), swipe(0.4, 0, seconds=2.0)], ids=["short", "slanting", "slow"]
)
def test_short_slanting_and_slow_moves_are_no_swipes(path: dict[float, tuple[float, float]]) -> None:
    assert Play(*MOVES).show("S" * 26, path=path) == []


def test_the_way_back_is_no_swipe() -> None:
    there = swipe(0.4, 0)
    back = {1.0: (0.8, 0.5), 1.1: (0.7, 0.5), 1.2: (0.6, 0.5), 1.3: (0.5, 0.5)}
    assert [name for _, name in Play(*MOVES).show("S" * 30, path={**there, **back})] == ["to-left"]


def test_a_second_swipe_after_a_pause_counts() -> None:
    again = {at + 2.0: place for at, place in swipe(-0.4, 0).items()}
    play = Play(*MOVES)
    assert [name for _, name in play.show("S" * 40, path={**swipe(0.4, 0), **again})] == [
        "to-left",
        "to-right",
    ]


def test_a_move_without_the_gesture_is_nothing() -> None:
    assert Play(*MOVES).show("F" * 12, path=swipe(0.4, 0)) == []


def test_where_a_hand_was_is_forgotten_with_the_gesture_that_another_ends_at_once() -> None:
    engine = RuleEngine(RuleSet(MOVES))
    near, far = Place(0.2, 0.5, 0.2), Place(0.8, 0.5, 0.2)
    held = GestureHeld(1.0, "front", 0, "right", "stop", 0.9, 0.5, near)
    ended = GestureEnded(1.0, "front", 0, "right", "stop", 0.9, 0.5, near)
    assert engine.process({NORMAL: (held, ended)}) == []
    assert engine.feed(GestureHeld(1.4, "front", 0, "right", "stop", 0.9, 0.3, far)) == []


def test_a_wave_is_there_and_back_and_there() -> None:
    wave = rule("wave", "stop", trigger="move", move="wave")
    xs = [0.5, 0.55, 0.62, 0.68, 0.6, 0.52, 0.6, 0.68, 0.6, 0.52]
    path = {0.0: (0.5, 0.5), **{0.4 + i / 10: (x, 0.5) for i, x in enumerate(xs)}}
    assert [name for _, name in Play(wave).show("S" * 20, path=path)] == ["wave"]
    assert Play(wave).show("S" * 20, path={at: place for at, place in path.items() if at < 0.95}) == []
