"""People who mean nothing: the same for a seed, smooth, and without a gesture that is held."""

from __future__ import annotations

import numpy as np
import pytest

from training.synthetic.scenes import activities, activity_model
from training.synthetic.scenes.activities import Held
from training.synthetic.scenes.activity_model import (
    GLIMPSE_S,
    HOLD_S,
    MIX,
    STEP_S,
    gesturing,
    idle,
    longest_run,
)
from training.synthetic.scenes.hands import GESTURES, Array
from training.synthetic.scenes.rig import SIDES
from training.synthetic.scenes.script import Measures, Script

STANDING, SEATED = Measures(), Measures(table=-0.36)
DEFAULT_HOLD_S = 0.3
FASTEST_M_S, FASTEST_DEG_S = 6.0, 2000.0  # people reach at 2 m/s, fling at 5; fingers close in 100 ms


def everything(script: Script, times: Array) -> Array:
    return np.concatenate(
        [script.arm_at(side, times) for side in SIDES]
        + [script.shape_at(side, times) for side in SIDES]
        + [script.chest.at(times), script.head.at(times), script.place.at(times)],
        axis=1,
    )


@pytest.mark.parametrize("make", [idle, gesturing])
def test_a_seed_is_one_life(make: object) -> None:
    times = np.arange(0, 20, 0.1)
    one, same, another = (everything(make(STANDING, 20.0, seed), times) for seed in (4, 4, 5))  # type: ignore[operator]
    assert np.array_equal(one, same)
    assert not np.allclose(one, another)


@pytest.mark.parametrize("measures", [STANDING, SEATED], ids=["standing", "seated"])
@pytest.mark.parametrize("seed", range(3))
def test_nobody_holds_a_gesture_while_idle(measures: Measures, seed: int) -> None:
    script = idle(measures, 60.0, seed)
    times = np.arange(0, 60, STEP_S / 2)
    assert GLIMPSE_S < DEFAULT_HOLD_S
    assert not script.gestures
    for side in SIDES:
        names = script.shown_at(side, times)
        assert longest_run(names) * STEP_S / 2 <= GLIMPSE_S + STEP_S


def test_a_gesture_held_for_longer_is_noticed() -> None:
    script = Script(STANDING, np.random.default_rng(1))
    end = activities.gesture(script, 1.0, Held("fist", "R", 1.0))
    script.gestures.clear()
    assert activity_model.holds_a_gesture(script, 0.0, end)


@pytest.mark.parametrize("name", MIX)
def test_every_activity_ends_and_moves_smoothly(name: str) -> None:
    script = Script(SEATED if name == "type" else STANDING, np.random.default_rng(3))
    end = MIX[name][0](script, 1.0)
    assert 1.0 < end < 60.0
    step = 0.01
    times = np.arange(0.0, end + 1, step)
    for side in SIDES:
        wrist = script.arm_at(side, times)[:, :3]
        assert np.linalg.norm(np.diff(wrist, axis=0), axis=1).max() < FASTEST_M_S * step
        assert np.abs(np.diff(script.shape_at(side, times), axis=0)).max() < FASTEST_DEG_S * step
    for side in SIDES:
        fingers = script.arm_at(side, times)[:, 6:12]
        assert np.linalg.norm(np.diff(fingers, axis=0), axis=1).max() < 0.5


@pytest.mark.parametrize("measures", [STANDING, SEATED], ids=["standing", "seated"])
def test_a_gesture_on_purpose_is_shown_for_as_long_as_the_truth_says(measures: Measures) -> None:
    script = gesturing(measures, 60.0, 2)
    assert {beat.name for beat in script.gestures} == set(GESTURES)
    for beat in script.gestures:
        times = np.linspace(beat.start, beat.end, 20)
        assert HOLD_S[0] <= beat.end - beat.start <= HOLD_S[1]
        assert set(script.shown_at(beat.side, times)) == {beat.name}
    ends = [beat.end for beat in script.gestures]
    assert all(after.start - end > 0.5 for end, after in zip(ends, script.gestures[1:], strict=False))


def test_two_minutes_hold_many_activities() -> None:
    seen = {beat.name for seed in range(4) for beat in idle(STANDING, 60.0, seed).activities}
    assert len(seen) >= 10
