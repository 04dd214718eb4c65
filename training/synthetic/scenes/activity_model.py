"""Random sequence of a person's activities, in which no idle activity holds a gesture.

Idle is whatever hands do without an intended gesture, including shapes that pass through one. According to
`training.synthetic.scenes.hands.shown` a hand may show a gesture for at most `GLIMPSE_S`, shorter than the
default hold; an activity that would show it for longer is drawn again.
"""

from __future__ import annotations

import numpy as np

from training.synthetic.scenes import activities
from training.synthetic.scenes.activities import Act, Held
from training.synthetic.scenes.hands import GESTURES, Array
from training.synthetic.scenes.rig import SIDES
from training.synthetic.scenes.script import Beat, Measures, Script

GLIMPSE_S = 0.25
STEP_S = 0.05  # sampling interval for the check, seconds
TRIES = 60
HOLD_S = (0.8, 1.5)  # an intended gesture

# weights of each activity: standing, at a table
MIX: dict[str, tuple[Act, float, float]] = {
    "rest": (activities.rest, 3, 3),
    "fold_arms": (activities.fold_arms, 1.5, 0.7),
    "clasp": (activities.clasp, 1.2, 1.5),
    "type": (activities.type_, 0, 4),
    "drink": (activities.drink, 1.2, 1.5),
    "phone": (activities.phone, 1.5, 1.2),
    "call": (activities.call, 0.7, 0.5),
    "touch": (activities.touch, 3, 3),
    "chin_rest": (activities.chin_rest, 0.4, 1.5),
    "talk": (activities.talk, 4, 3),
    "count": (activities.count, 0.5, 0.4),
    "point": (activities.point_at, 0.8, 0.5),
    "rare_sign": (activities.rare_sign, 0.2, 0.2),
    "sweep": (activities.sweep, 0.3, 0.2),
    "stretch": (activities.stretch, 0.3, 0.4),
    "read": (activities.read, 0.7, 1),
    "turn_away": (activities.turn_away, 0.8, 0.4),
    "walk": (activities.walk, 0.8, 0),
}


def idle(measures: Measures, seconds: float, seed: int) -> Script:
    """Create minutes without intended gestures."""
    script = Script(measures, np.random.default_rng((seed, 1)))
    t = 0.0
    while t < seconds:
        t = _live(script, t)
    return script


def gesturing(measures: Measures, seconds: float, seed: int) -> Script:
    """Create activities with an intended gesture every few seconds, each of the five equally often."""
    script = Script(measures, np.random.default_rng((seed, 2)))
    left: list[str] = []
    t = 1.0
    while t < seconds - 4.0:
        if not left:
            left = [str(g) for g in script.rng.permutation(GESTURES)]
        held = Held(left.pop(), activities.either(script), float(script.rng.uniform(*HOLD_S)))
        t = _noted(script, "gesture", t, activities.gesture(script, t, held))
        t = _live(script, t, short=True) if script.rng.random() < 0.2 else t + script.rng.uniform(0.7, 2.0)
    return script


def _live(script: Script, t: float, *, short: bool = False) -> float:
    """Add one activity; drawn again if it would hold a gesture."""
    names = list(MIX)
    if short:  # between two gestures
        names = [n for n in names if n in {"rest", "touch", "talk", "clasp", "point", "count", "sweep"}]
    column = 1 if script.measures.table is None else 2
    weights = np.array([MIX[name][column] for name in names], float)
    for _ in range(TRIES):
        name = str(script.rng.choice(names, p=weights / weights.sum()))
        marks = [track.mark() for track in script.tracks()]
        things = len(script.things)
        end = max(MIX[name][0](script, t), t + 0.5)
        if not holds_a_gesture(script, t, _settled(script, end)):
            return _noted(script, name, t, end)
        for track, mark in zip(script.tracks(), marks, strict=True):
            track.undo(mark)
        del script.things[things:]
    raise RuntimeError(f"no activity without a gesture in {TRIES} tries at {t:.1f} s")


def _settled(script: Script, end: float) -> float:
    return max(end, *(track.end for track in script.tracks()))


def _noted(script: Script, name: str, start: float, end: float) -> float:
    script.activities.append(Beat(name, start, end))
    return end


def holds_a_gesture(script: Script, start: float, end: float, longest: float = GLIMPSE_S) -> bool:
    """Return whether a hand shows a gesture for longer than this, other than intended ones."""
    for side in SIDES:
        # an intended gesture ends while the hand is lowered, which belongs to it
        sinking = any(b.side == side and start - 3.0 < b.end <= start for b in script.gestures)
        begin = start if sinking else start - 0.5
        times = np.arange(max(0.0, begin), end, STEP_S)
        if len(times) and longest_run(script.shown_at(side, times)) * STEP_S > longest:
            return True
    return False


def longest_run(names: Array) -> int:
    """Return the longest run of the same name other than ""."""
    longest = run = 0
    before = ""
    for name in names:
        run = run + 1 if name and name == before else int(bool(name))
        before = name
        longest = max(longest, run)
    return longest
