"""Kinematics of a person's bones for many times at once.

Vectorized `arm_turns` and `place_bones` of training/synthetic/clip, with a first axis of time.
Rotations are global, from rest, in world axes (x to the person's left, y to the back, z up).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from training.synthetic.scenes.hands import Array, unit

Side = Literal["R", "L"]
SIDES: tuple[Side, Side] = ("R", "L")
NUMBERS = (2, 3, 4, 5)  # index .. little, in the names of the bones
X, Y, Z = np.eye(3)


def turn(axis: Array, degrees: Array) -> Array:
    """Return (T, 3, 3) rotations about one axis (3,) or one each (T, 3), right-handed."""
    axis = np.broadcast_to(unit(np.asarray(axis, float)), (len(degrees), 3))
    zero = np.zeros(len(axis))
    x, y, z = axis.T
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    angle = np.radians(degrees)[:, None, None]
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def frame(first: Array, second: Array) -> Array:
    """Return (T, 3, 3) with columns: `first`, `second` orthogonalized to it, and their cross product."""
    a = unit(first)
    b = unit(second - a * (a * second).sum(axis=-1, keepdims=True))
    return np.stack([a, b, np.cross(a, b)], axis=-1)


@dataclass(frozen=True, eq=False)
class _Hand:
    """Constants of one hand at rest."""

    rest: Array  # (3, 3) towards the fingers, out of the palm, their cross product
    axes: Array  # (4, 3) a positive rotation folds the finger
    at_rest: Array  # (4, 3) degrees that the joints are bent at rest
    thumb_bone: Array
    thumb_fold: Array


class Rig:
    """A skeleton at rest; `place` poses it."""

    def __init__(self, bones: list[str], parents: Array, heads: Array, tips: Array) -> None:
        """Set the rest pose: `heads` (B, 3); `tips` (2, 5, 3), ends of thumb ..

        Little finger, right hand first; metres.
        """
        self.bones, self.parents, self.heads, self.tips = bones, parents, heads, tips
        self._row = {name: b for b, name in enumerate(bones)}
        self._hands = {side: self._hand(side) for side in SIDES}

    def head(self, bone: str) -> Array:
        """Return where a bone starts at rest."""
        return np.asarray(self.heads[self._row[bone]])

    def place(self, turns: dict[str, Array], root: Array, way: Array) -> Array:
        """Return (T, B, 3, 4) matrices from rest to world positions.

        `root` (T, 3) moves all, `way` (T, 3, 3) rotates all about the vertical through the origin at rest.
        """
        count = len(root)
        rotation = np.empty((len(self.bones), count, 3, 3))
        at = np.empty((len(self.bones), count, 3))
        for b, name in enumerate(self.bones):
            if b == 0:
                rotation[b] = turns.get(name, np.eye(3))
                at[b] = self.heads[b]
                continue
            p = self.parents[b]
            rotation[b] = turns.get(name, rotation[p])
            at[b] = at[p] + rotation[p] @ (self.heads[b] - self.heads[p])
        offset = at - np.einsum("btij,bj->bti", rotation, self.heads)
        rotation = way @ rotation
        offset = np.einsum("tij,btj->bti", way, offset) + root
        return np.concatenate([rotation, offset[..., None]], axis=3).transpose(1, 0, 2, 3)

    def point(self, matrices: Array, bone: str, rest: Array | None = None) -> Array:
        """Return (T, 3) positions of a rest point of a bone; of its head unless another is given."""
        m = matrices[:, self._row[bone]]
        rest = self.head(bone) if rest is None else rest
        return np.asarray(m[..., :3] @ rest + m[..., 3])

    def arm(self, side: Side, arms: Array, shapes: Array, chest: Array) -> dict[str, Array]:
        """Return rotations from the collar bone to the fingertips (two-bone inverse kinematics).

        `arms` (T, 12) are for the right hand; `chest` (T, 3, 3) carries the arm.
        """
        mirror = np.array([1.0 if side == "R" else -1.0, 1, 1])
        wrist, hint, fingers, palm = (arms[:, k : k + 3] * mirror for k in (0, 3, 6, 9))
        joints = [self.head(f"{b}.{side}") for b in ("upperarm01", "lowerarm01", "wrist")]
        first, second = joints[1] - joints[0], joints[2] - joints[1]
        upper, lower = np.linalg.norm(first), np.linalg.norm(second)
        low, high = 0.3 * (upper + lower), 0.995 * (upper + lower)
        reach = np.clip(np.linalg.norm(wrist, axis=1), low, high)[:, None]
        towards = unit(wrist)
        cos = (upper**2 + reach**2 - lower**2) / (2 * upper * reach)
        sin = np.sqrt(np.maximum(0.0, 1 - cos**2))
        elbow = upper * (cos * towards + sin * frame(towards, hint)[:, :, 1])
        below = reach * towards - elbow
        hinge, rest_hinge = np.cross(elbow, below), np.cross(first, second)
        upper_turn = chest @ frame(elbow, hinge) @ frame(first, rest_hinge).T
        lower_turn = chest @ frame(below, hinge) @ frame(second, rest_hinge).T
        hand = chest @ frame(fingers, palm) @ self._hands[side].rest.T
        raised = np.maximum(0.0, np.degrees(np.arcsin(np.clip(unit(elbow)[:, 2], -1, 1))) + 45)
        collar = chest @ turn(Y, mirror[0] * np.minimum(14.0, 0.16 * raised))
        swing, twist = _swing_and_twist(upper_turn, chest, unit(first))
        _, fore = _swing_and_twist(hand, lower_turn, unit(second))
        return {
            f"clavicle.{side}": collar,
            f"shoulder01.{side}": collar,
            f"upperarm01.{side}": swing @ turn(first, twist * 0.5),
            f"upperarm02.{side}": upper_turn,
            f"lowerarm01.{side}": lower_turn @ turn(second, fore * 0.2),
            f"lowerarm02.{side}": lower_turn @ turn(second, fore * 0.65),
            f"wrist.{side}": hand,
            **self._fingers(side, shapes, hand, mirror[0]),
        }

    def fingers(self, side: Side, shapes: Array) -> Array:
        """Return (T, 5, 4, 3) metres: three joints and the end of thumb ..

        Little finger; the hand is not rotated.
        """
        turns = self._fingers(
            side, shapes, np.broadcast_to(np.eye(3), (len(shapes), 3, 3)), 1.0 if side == "R" else -1.0
        )
        out = np.empty((len(shapes), 5, 4, 3))
        for i in range(5):
            names = [f"finger{i + 1}-{k}.{side}" for k in (1, 2, 3)]
            rest = [*(self.head(name) for name in names), self.tips[SIDES.index(side), i]]
            out[:, i, 0] = rest[0]
            for k, name in enumerate(names):
                out[:, i, k + 1] = out[:, i, k] + turns[name] @ (rest[k + 1] - rest[k])
        return out

    def _fingers(self, side: Side, shapes: Array, hand: Array, mirror: float) -> dict[str, Array]:
        own = self._hands[side]
        palm = own.rest[:, 1]
        across, out, roll, knuckle, tip = shapes[:, :5].T
        base = (
            hand
            @ turn(own.rest[:, 0], -mirror * across)
            @ turn(palm, mirror * out)
            @ turn(own.thumb_bone, mirror * roll)
        )
        middle = base @ turn(own.thumb_fold, knuckle)
        last = middle @ turn(own.thumb_fold, tip)
        turns = {f"finger1-{k + 1}.{side}": m for k, m in enumerate((base, middle, last))}
        for i, number in enumerate(NUMBERS):
            joints = shapes[:, 5 + 4 * i : 9 + 4 * i]
            turned = hand @ turn(palm, -mirror * joints[:, 3])
            for k in range(3):
                turned = turned @ turn(own.axes[i], joints[:, k] - own.at_rest[i, k])
                turns[f"finger{number}-{k + 1}.{side}"] = turned
        return turns

    def _hand(self, side: Side) -> _Hand:
        wrist = self.head(f"wrist.{side}")
        index, little = self.head(f"finger2-1.{side}"), self.head(f"finger5-1.{side}")
        normal = np.cross(index - wrist, little - wrist) * (1 if side == "R" else -1)
        rest = frame(self.head(f"finger3-1.{side}") - wrist, normal)
        tips = self.tips[SIDES.index(side)]
        axes, bent = [], []
        for i, number in enumerate(NUMBERS):
            chain = [self.head(f"finger{number}-{k}.{side}") for k in (1, 2, 3)] + [tips[1 + i]]
            bones = [unit(b - a) for a, b in pairwise(chain)]
            axis = unit(np.cross(bones[0], rest[:, 1]))
            axes.append(axis)
            bent.append([_bend(a, b, axis) for a, b in pairwise([rest[:, 0], *bones])])
        first, second, third = (self.head(f"finger1-{k}.{side}") for k in (1, 2, 3))
        fold = unit(np.cross(unit(third - second), unit(tips[0] - third)))
        return _Hand(rest, np.array(axes), np.array(bent), unit(second - first), fold)


def _bend(a: Array, b: Array, axis: Array) -> float:
    """Degrees that rotate `a` into `b` about `axis`."""
    a, b = a - axis * (a @ axis), b - axis * (b @ axis)
    return float(np.degrees(np.arctan2(np.cross(a, b) @ axis, a @ b)))


def _swing_and_twist(wanted: Array, base: Array, axis: Array) -> tuple[Array, Array]:
    """Decompose `wanted` = swing @ turn(axis, twist); twist in degrees about the bone's rest direction."""
    local = base.transpose(0, 2, 1) @ wanted
    w = np.sqrt(np.maximum(1e-9, 1 + np.trace(local, axis1=1, axis2=2))) / 2
    vector: Any = np.stack(
        [local[:, 2, 1] - local[:, 1, 2], local[:, 0, 2] - local[:, 2, 0], local[:, 1, 0] - local[:, 0, 1]],
        axis=1,
    ) / (4 * w[:, None])
    twist = np.degrees(2 * np.arctan2(vector @ axis, w))
    twist = (twist + 180) % 360 - 180
    return wanted @ turn(axis, -twist), twist
