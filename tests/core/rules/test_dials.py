"""A hand that turns a value up and down."""

from __future__ import annotations

from typing import Any

from rule_scenario import Play, rule

from agent.core.rules import ActionTemplate, Dial, Rule, RuleContext
from agent.core.rules.dials import DialState
from agent.core.types import Place


def dialled(
    play: Play, path: dict[float, tuple[float, float]], context: RuleContext | None = None
) -> list[tuple[float, str]]:
    frames = round(max(path) * 10) + 5  # the hand rests where it came to
    done = play.actions("F" * frames + "......", path=path, context=context)
    return [(round(a.at, 3), a.payload) for a in done]


def dim(**more: Any) -> Rule:
    dial = Dial(0, 100, 1, more.pop("start", 50), **more)
    return rule(
        "dim",
        "fist",
        trigger="dial",
        move="vertical",
        dial=dial,
        do=ActionTemplate("publish", "lamp", "{value}"),
    )


def test_a_dial_follows_the_hand_from_where_it_stands() -> None:
    # four hand heights of a fifth of the frame are the whole range: a tenth of the frame is 12.5
    path = {0.0: (0.5, 0.5), 0.5: (0.5, 0.4), 0.7: (0.5, 0.5), 0.9: (0.5, 0.6)}
    assert dialled(Play(dim()), path) == [(0.5, "62"), (0.7, "50"), (0.9, "38")]


def test_a_dial_stops_at_its_ends() -> None:
    down = {0.6 + i / 10: (0.5, 0.05 + i / 10) for i in range(10)}
    sent = dialled(Play(dim()), {0.0: (0.5, 0.9), 0.5: (0.5, 0.05), **down})
    assert sent[0] == (0.5, "100")
    assert sent[-1] == (1.5, "44")


def test_a_dial_keeps_its_rate_but_sends_where_it_was_left() -> None:
    path = {0.0: (0.5, 0.5), **{0.4 + i / 10: (0.5, 0.5 - i / 100) for i in range(10)}}
    sent = dialled(Play(dim(every_s=0.5)), path)
    assert [at for at, _ in sent] == [0.5, 1.0, 1.5]
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
        dialled(play, {0.0: (0.5, 0.5), 0.5: (0.5, 0.4)}, RuleContext(values={"lamp": '{"level": 10}'}))[-1][
            1
        ]
        == "22"
    )


def test_a_dial_to_the_side_grows_to_the_persons_right_and_may_run_backwards() -> None:
    dial = Dial(1.0, 0.0, 0.01, 0.5)
    side = rule(
        "a",
        "fist",
        trigger="dial",
        move="horizontal",
        dial=dial,
        do=ActionTemplate("publish", "t", {"v": "{value}"}),
    )
    assert dialled(Play(side), {0.0: (0.5, 0.5), 0.5: (0.44, 0.5)}) == [(0.5, '{"v":0.4}')]


def held(
    state: DialState, *ys: float, step_s: float = 0.1, sure: bool = True, at: float = 0.0
) -> list[float]:
    """Values that are sent while the hand is at these heights, one after the other."""
    sent = [state.turn(at + i * step_s, Place(0.5, y, 0.2), sure=sure) for i, y in enumerate(ys, start=1)]
    return [value for value in sent if value is not None]


def grabbed() -> DialState:
    state = DialState(Dial(0, 100, 1, 50), vertical=True)
    state.grab(Place(0.5, 0.4, 0.2), RuleContext())
    return state


def test_a_hand_that_goes_down_leaves_the_lamp_as_it_was() -> None:
    state = grabbed()
    assert held(state, 0.35, 0.3, 0.3, 0.3, 0.3, step_s=0.1) == [56, 62]
    falling = [0.31, 0.4, 0.55, 0.7, 0.8]  # in half a second to the hip, still showing two
    sent = held(state, *falling, at=0.5)
    assert sent[-1] == 62
    assert min(sent) > 45  # what little came through before it was noticed is taken back
    assert state.release(1.5) is None  # nothing more to say


def test_a_hand_that_vanishes_on_its_way_takes_nothing_along() -> None:
    state = grabbed()
    held(state, 0.3, 0.3, 0.3, 0.3, 0.3)
    assert held(state, 0.36, 0.42, at=0.5) == [55, 48]  # lowered, and no longer seen
    assert state.release(1.2) == 62


def test_a_gesture_that_is_no_longer_sure_freezes_the_dial_and_grabs_it_anew_without_a_jump() -> None:
    state = grabbed()
    held(state, 0.3, 0.3, 0.3, 0.3)
    assert held(state, 0.35, 0.45, 0.5, at=0.4, sure=False) == []
    assert held(state, 0.5, 0.5, at=0.7) == []
    assert held(state, 0.45, at=0.9) == [69]


def test_who_dims_slowly_to_the_end_gets_there() -> None:
    state = grabbed()
    held(state, *(0.4 + i / 50 for i in range(25)))
    assert held(state, 0.9, 0.9, 0.9, 0.9, at=2.5) == []
    assert state.release(3.2) is None
    assert state.turn(3.3, Place(0.5, 0.5, 0.2)) is None
