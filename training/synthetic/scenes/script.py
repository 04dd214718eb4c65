"""Script of one person: keys for arms, hands, chest, head and place, held objects, and labels.

`Script` is filled by the activities of `training.synthetic.scenes.activities` and read by the renderer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from training.synthetic.clip.motion import RESTING
from training.synthetic.scenes.hands import SHAPE, Array, arm_vector, shown, unit
from training.synthetic.scenes.rig import SIDES, Rig, Side
from training.synthetic.scenes.thumbs import Reach, reach_of
from training.synthetic.scenes.tracks import ArmTrack, Drift, Track

ADULT_ARM = 0.53  # metres from the shoulder to the wrist: clip's poses are for such a person


@dataclass(frozen=True)
class Measures:
    """Points of a body, in metres from the right shoulder joint (x to the person's left, y back, z up).

    `reach` brings the thumb of a gesture's hand shape to where it belongs on this body's hands.
    """

    arm: float = 0.53
    hand: float = 0.18
    half: float = 0.17  # to the middle of the body
    front: float = -0.16  # distance of the belly to the front
    eyes: tuple[float, float, float] = (0.17, -0.12, 0.24)
    table: float | None = None  # height of the table, None where the person stands
    reach: Reach = lambda _, shape: shape

    def eye(self, x: float, y: float, z: float) -> Array:
        """Return a point of the head, relative to the point between the eyes."""
        return np.array(self.eyes) + np.array([x, y, z])

    def belly(self, x: float, y: float, z: float) -> Array:
        """Return a point relative to the middle of the body, its front, and the shoulder's height."""
        return np.array([self.half + x, self.front + y, z])


def measures_of(rig: Rig, front_y: float, table: float | None) -> Measures:
    """Measure a body at rest; `front_y` is the front of the belly, `table` the height of the table.

    Metres.
    """
    shoulder, elbow, wrist = (rig.head(f"{b}.R") for b in ("upperarm01", "lowerarm01", "wrist"))
    eyes = (rig.head("eye.L") + rig.head("eye.R")) / 2 - shoulder
    return Measures(
        arm=float(np.linalg.norm(elbow - shoulder) + np.linalg.norm(wrist - elbow)),
        hand=float(np.linalg.norm(rig.tips[0, 2] - wrist)),
        half=float(-shoulder[0]),
        front=float(front_y - shoulder[1]),
        eyes=(float(eyes[0]), float(eyes[1]), float(eyes[2])),
        table=None if table is None else float(table - shoulder[2]),
        reach=reach_of(rig),
    )


@dataclass(frozen=True)
class Beat:
    """An interval in seconds: an activity, a gesture or a held object."""

    name: str
    start: float
    end: float
    side: Side = "R"


@dataclass(eq=False)
class Script:
    """Motion and labels of a person; tracks by side and part, times in seconds from the start."""

    measures: Measures
    rng: np.random.Generator
    activities: list[Beat] = field(default_factory=list)
    gestures: list[Beat] = field(default_factory=list)
    things: list[Beat] = field(default_factory=list)

    def __post_init__(self) -> None:
        own = np.random.default_rng(self.rng.integers(2**32))
        rest = arm_vector(RESTING)
        rest[:3] *= self.measures.arm / ADULT_ARM
        self.arms: dict[Side, Track] = {side: ArmTrack(rest) for side in SIDES}
        self.shapes: dict[Side, Track] = {side: Track(SHAPE["idle"]) for side in SIDES}
        self.chest = Track(np.zeros(3))  # degrees: yaw to the own left, nod, lean to the own left
        self.head = Track(np.zeros(3))
        self.place = Track(np.zeros(3))  # x, y metres, yaw degrees, relative to the place of the person
        self._arm_drift = {side: Drift(own, 12) for side in SIDES}
        self._shape_drift = {side: Drift(own, 21, 0.05, 0.4) for side in SIDES}
        self._calm = {side: own.uniform(0.5, 1.5) for side in SIDES}
        self._sway = Drift(own, 6, 0.05, 0.3)

    def reach(self, side: Side, arm: Array, shape: Array | str, start: float, seconds: float) -> float:
        """Reach a new pose with arm and fingers; the fingers start slightly later. Returns the end time."""
        shape = SHAPE[shape] if isinstance(shape, str) else shape
        self.arms[side].to(arm, start, seconds)
        late = self.rng.uniform(0.05, 0.4) * seconds
        end = self.arms[side].end
        self.shapes[side].to(shape, end - seconds + late, seconds - late)
        return end

    def arm_at(self, side: Side, times: Array) -> Array:
        """Return (T, 12) arm poses with natural sway."""
        noise = self._arm_drift[side].at(times) * self._calm[side]
        sizes = np.repeat([0.006, 0.03, 0.035, 0.035], 3)
        arm = self.arms[side].at(times)
        arm[:, 3:] = np.concatenate([unit(arm[:, k : k + 3]) for k in (3, 6, 9)], axis=1)
        return np.asarray(arm + noise * sizes)

    def shape_at(self, side: Side, times: Array) -> Array:
        """Return (T, 21) degrees of the hand shape with natural variation."""
        sizes = np.concatenate([np.full(5, 2.0), np.tile([2.5, 2.5, 1.5, 1.0], 4)])
        noise = self._shape_drift[side].at(times) * self._calm[side]
        return np.asarray(self.shapes[side].at(times) + noise * sizes)

    def sway_at(self, times: Array) -> Array:
        """Return (T, 6) about -1..1: breath and balance."""
        return self._sway.at(times)

    def shown_at(self, side: Side, times: Array) -> Array:
        """Return (T,) the gesture that the hand shows, "" for none."""
        return shown(self.arm_at(side, times), self.shape_at(side, times))

    def tracks(self) -> list[Track]:
        """Return all tracks."""
        return [*self.arms.values(), *self.shapes.values(), self.chest, self.head, self.place]
