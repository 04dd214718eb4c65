"""A hand that turns a value up and down."""

from __future__ import annotations

from typing import Any

from rule_play import Play, rule

from agent.core.rules import Dial, Do, Rule, World


def dialled(
    play: Play, path: dict[float, tuple[float, float]], world: World | None = None
) -> list[tuple[float, str]]:
    frames = round(max(path) * 10) + 2
    done = play.actions("F" * frames + "......", path=path, world=world)
    return [(round(a.at, 3), a.payload) for a in done]


def dim(**more: Any) -> Rule:
    dial = Dial(0, 100, 1, more.pop("start", 50), **more)
    return rule(
        "dim", "fist", trigger="dial", move="vertical", dial=dial, do=Do("publish", "lamp", "{value}")
    )


def test_a_dial_follows_the_hand_from_where_it_stands() -> None:
    # four hand heights of a fifth of the frame are the whole range: a tenth of the frame is 12.5
    path = {0.0: (0.5, 0.5), 0.5: (0.5, 0.4), 0.7: (0.5, 0.6)}
    assert dialled(Play(dim()), path) == [(0.5, "62"), (0.7, "38")]


def test_a_dial_stops_at_its_ends() -> None:
    assert dialled(Play(dim()), {0.0: (0.5, 0.9), 0.5: (0.5, 0.05), 0.7: (0.5, 0.95)}) == [
        (0.5, "100"),
        (0.7, "44"),
    ]


def test_a_dial_keeps_its_rate_but_sends_where_it_was_left() -> None:
    path = {0.0: (0.5, 0.5), **{0.4 + i / 10: (0.5, 0.5 - i / 100) for i in range(10)}}
    sent = dialled(Play(dim(every_s=0.5)), path)
    assert [at for at, _ in sent] == [0.5, 1.0, 1.9]
    assert sent[-1][1] == "61"


def test_a_dial_keeps_quiet_about_less_than_a_step() -> None:
    path = {0.0: (0.5, 0.5), 0.5: (0.5, 0.499), 0.6: (0.5, 0.501), 0.7: (0.5, 0.46)}
    assert dialled(Play(dim()), path) == [(0.7, "55")]


def test_a_dial_goes_on_from_where_it_was_left_or_from_what_its_topic_says() -> None:
    play = Play(dim())
    dialled(play, {0.0: (0.5, 0.5), 0.5: (0.5, 0.4)})
    assert dialled(play, {0.0: (0.5, 0.5), 0.5: (0.5, 0.4)})[-1][1] == "75"
    play = Play(dim(follow=("lamp", ("level",))))
    assert (
        dialled(play, {0.0: (0.5, 0.5), 0.5: (0.5, 0.4)}, World(values={"lamp": '{"level": 10}'}))[-1][1]
        == "22"
    )


def test_a_dial_to_the_side_grows_to_the_persons_right_and_may_run_backwards() -> None:
    dial = Dial(1.0, 0.0, 0.01, 0.5)
    side = rule(
        "a", "fist", trigger="dial", move="horizontal", dial=dial, do=Do("publish", "t", {"v": "{value}"})
    )
    assert dialled(Play(side), {0.0: (0.5, 0.5), 0.5: (0.44, 0.5)}) == [(0.5, '{"v":0.4}')]
