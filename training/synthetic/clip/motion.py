"""Motion of the person: a timeline of gestures with smooth transitions, breath and sway."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from training.synthetic.clip.body import place_bones, turn, unit
from training.synthetic.clip.gestures import SHAPES, ArmPose, HandShape, arm_turns, blend, mix_arms

if TYPE_CHECKING:
    from training.synthetic.clip.body import Array, Body, Posed


def _v(x: float, y: float, z: float) -> Array:
    return np.array([x, y, z])


# For the right hand; the body looks along -y, its left is +x.
RESTING = ArmPose(
    wrist=_v(-0.06, -0.10, -0.48), elbow=_v(-0.5, 0.8, 0), fingers=_v(0.05, -0.3, -1), palm=_v(0.85, 0.5, 0)
)
RAISED = ArmPose(
    wrist=_v(-0.13, -0.30, 0.0),
    elbow=_v(-0.55, 0.3, -1),
    fingers=_v(-0.08, -0.05, 1),
    palm=_v(0.15, -1, -0.05),
)
ARMS = {
    "idle": RAISED,
    "stop": RAISED,
    "fist": replace(RAISED, fingers=_v(-0.35, 0.02, 1)),
    "ok": ArmPose(RAISED.wrist, RAISED.elbow, _v(-0.25, -0.1, 1), _v(-0.35, -1, 0)),
    "two": RAISED,
    "thumbs_up": ArmPose(_v(-0.10, -0.34, -0.08), RAISED.elbow, _v(-0.1, -1, 0.2), _v(1, -0.1, 0.1)),
}


@dataclass(frozen=True)
class Beat:
    """One gesture on the timeline, in seconds: the hand rises, holds from `start` to `end`, sinks."""

    gesture: str
    start: float
    end: float


QUIET_S, RISE_S, HOLD_S, SINK_S, PAUSE_S = 1.0, 0.5, 1.6, 0.5, 0.0
ORDER = ("fist", "stop", "thumbs_up", "ok", "two")


def timeline(order: tuple[str, ...] = ORDER) -> tuple[list[Beat], float]:
    """Return the gestures one after the other, and the total length in seconds."""
    beats, at = [], QUIET_S
    for gesture in order:
        start = at + RISE_S
        beats.append(Beat(gesture, start, start + HOLD_S))
        at = start + HOLD_S + SINK_S + PAUSE_S
    return beats, at + 0.5


def ease(share: float) -> float:
    """Return 0..1 with minimum jerk, as people reach."""
    s = min(1.0, max(0.0, share))
    return s**3 * (10 - 15 * s + 6 * s * s)


class Actor:
    """Poses of a person over time: gestures with the right hand, breath, sway, blinks."""

    def __init__(self, body: Body, beats: list[Beat], seed: int = 7) -> None:
        rng = np.random.default_rng(seed)
        self._body, self._beats = body, beats
        self._rates = rng.uniform(0.12, 0.45, (8, 3))
        self._phases = rng.uniform(0, 2 * np.pi, (8, 3))
        self._blinks = np.cumsum(rng.uniform(2.2, 4.5, 12)) - 1.4

    def drift(self, row: int, at: float) -> Array:
        """Return slow noise, about -1..1 in three axes."""
        waves = np.sin(2 * np.pi * self._rates[row] * at + self._phases[row])
        return (waves + 0.4 * np.sin(2 * np.pi * 2.3 * self._rates[row] * at + 2 * self._phases[row])) / 1.4

    def blink(self, at: float) -> float:
        """Return the closing of the eyes: 0 open, 1 shut."""
        return max((ease(1 - abs(at - b) / 0.13) for b in self._blinks), default=0.0)

    def _hand(self, at: float) -> tuple[ArmPose, HandShape, float]:
        for beat in self._beats:
            if beat.start - RISE_S <= at <= beat.end + SINK_S:
                up = (at - beat.start + RISE_S) / RISE_S if at < beat.start else 1.0
                up = 1 - (at - beat.end) / SINK_S if at > beat.end else up
                formed = blend(SHAPES["idle"], SHAPES[beat.gesture], ease((up - 0.35) / 0.6))
                return mix_arms(RESTING, ARMS[beat.gesture], ease(up)), formed, ease(up)
        return RESTING, SHAPES["idle"], 0.0

    def pose(self, at: float) -> Posed:
        """Return the bones at this time."""
        sway = self.drift(0, at)
        chest = turn(np.array([1.0, 0, 0]), 1.2 * sway[0]) @ turn(np.array([0, 0, 1.0]), 2.0 * sway[2])
        arm, shape, up = self._hand(at)
        shake = 0.006 + 0.003 * up
        arm = replace(
            arm,
            wrist=arm.wrist + shake * self.drift(1, at),
            fingers=unit(arm.fingers) + 0.05 * self.drift(2, at),
            palm=unit(arm.palm) + 0.06 * self.drift(3, at),
        )
        other = mirrored(replace(RESTING, wrist=RESTING.wrist + 0.006 * self.drift(4, at)))
        nod = self.drift(5, at)
        head = (
            turn(np.array([0, 0, 1.0]), 3.0 * nod[2] - 3.0 * up)
            @ turn(np.array([1.0, 0, 0]), 2.0 * nod[0])
            @ turn(np.array([0, 1.0, 0]), 1.5 * nod[1] - 1.5 * up)
        )
        turns = {
            "spine03": turn(np.array([1.0, 0, 0]), 0.6 * sway[0]) @ turn(np.array([0, 0, 1.0]), sway[2]),
            "spine01": chest,
            "neck02": turn(np.array([0, 0, 1.0]), 1.5 * nod[2] - 1.5 * up) @ chest,
            "head": head @ chest,
            **arm_turns(self._body, "R", arm, shape, chest),
            **arm_turns(self._body, "L", other, SHAPES["idle"], chest),
        }
        return place_bones(self._body, turns, np.array([0.006, 0.004, 0.0]) * self.drift(6, at))


def mirrored(arm: ArmPose) -> ArmPose:
    """Mirror an arm pose for the other side."""
    flip = np.array([-1.0, 1.0, 1.0])
    return ArmPose(arm.wrist * flip, arm.elbow * flip, arm.fingers * flip, arm.palm * flip)
