"""Hand shapes of each gesture as joint angles, and arm poses by inverse kinematics.

Angles are degrees. Flexion 0 is a straight finger, positive folds it into the palm; spread is
positive away from the middle finger, towards the thumb.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from training.synthetic.clip.body import Array, Body, frame, turn, unit

if TYPE_CHECKING:
    from collections.abc import Mapping

Side = Literal["L", "R"]
FINGERS = {"index": 2, "middle": 3, "ring": 4, "little": 5}  # number in the names of the bones


@dataclass(frozen=True)
class Thumb:
    """Joint angles of the thumb.

    `across` sweeps it in front of the palm, `out` brings it to the index finger (negative: away from
    the hand), `roll` turns its nail, `knuckle` and `tip` fold its two outer joints.
    """

    across: float
    out: float
    roll: float
    knuckle: float
    tip: float


@dataclass(frozen=True)
class Finger:
    """Joint angles of a finger: flexion at the knuckle, the middle and the end joint, and sideways spread."""

    knuckle: float
    middle: float
    end: float
    spread: float = 0.0


@dataclass(frozen=True)
class HandShape:
    """All joint angles of one hand."""

    thumb: Thumb
    index: Finger
    middle: Finger
    ring: Finger
    little: Finger


#                      across out  roll knuckle tip            knuckle middle end spread
SHAPES: dict[str, HandShape] = {
    "idle": HandShape(
        Thumb(10, 0, 0, 12, 15),
        Finger(18, 28, 14), Finger(24, 34, 18), Finger(28, 38, 20), Finger(30, 38, 20),
    ),
    "stop": HandShape(
        Thumb(-20, -10, 0, -5, -5),
        Finger(-2, 4, 2, 5), Finger(-2, 4, 2, 1), Finger(-2, 5, 3, -5), Finger(-2, 6, 4, -11),
    ),
    "fist": HandShape(
        Thumb(30, 0, 10, 19, 30),
        Finger(84, 108, 58), Finger(87, 110, 60), Finger(88, 110, 60), Finger(88, 106, 58),
    ),
    "thumbs_up": HandShape(
        Thumb(-35, 2, 0, -12, -18),
        Finger(80, 100, 60), Finger(84, 102, 60), Finger(86, 102, 60), Finger(86, 98, 58),
    ),
    "ok": HandShape(
        Thumb(14, 6, 0, 18, 16),
        Finger(39, 53, 36, -1), Finger(14, 12, 8, 2), Finger(4, 8, 5, -5), Finger(-4, 6, 4, -13),
    ),
    "two": HandShape(
        Thumb(53, -7, 13, 38, 4),
        Finger(0, 3, 2, 12), Finger(0, 3, 2, -9), Finger(82, 98, 50), Finger(82, 96, 50),
    ),
}  # fmt: skip


STRAIGHT, FOLDED = Finger(0, 4, 3), Finger(86, 106, 58)
TUCKED = Thumb(47, -8, 0, 19, 42)
LOOSE_THUMB = Thumb(-20, -12, 0, -5, -5)


def _out(spread: float) -> Finger:
    return replace(STRAIGHT, spread=spread)


OTHERS: dict[str, HandShape] = {  # hands that show none of the five gestures
    "idle": SHAPES["idle"],
    "point": HandShape(TUCKED, STRAIGHT, FOLDED, FOLDED, FOLDED),
    "three": HandShape(TUCKED, _out(9), STRAIGHT, _out(-9), FOLDED),
    "four": HandShape(Thumb(50, 5, 10, 30, 30), _out(6), STRAIGHT, _out(-5), _out(-11)),
    "little": HandShape(TUCKED, FOLDED, FOLDED, FOLDED, _out(-8)),
    "call": HandShape(LOOSE_THUMB, FOLDED, FOLDED, FOLDED, _out(-10)),
    "gun": HandShape(LOOSE_THUMB, STRAIGHT, FOLDED, FOLDED, FOLDED),
    "rock": HandShape(TUCKED, _out(6), FOLDED, FOLDED, _out(-9)),
    "claw": HandShape(
        Thumb(10, -5, 0, 20, 40),
        Finger(20, 60, 40, 6), Finger(20, 62, 42), Finger(22, 62, 42, -5), Finger(22, 58, 40, -10),
    ),
}  # fmt: skip


def blend(a: HandShape, b: HandShape, share: float) -> HandShape:
    """Interpolate all joints between `a` (share 0) and `b` (share 1)."""

    def mix(x: object, y: object) -> object:
        if isinstance(x, float | int) and isinstance(y, float | int):
            return x + (y - x) * share
        return replace(x, **{f.name: mix(getattr(x, f.name), getattr(y, f.name)) for f in fields(x)})  # type: ignore[type-var,arg-type]

    return mix(a, b)  # type: ignore[return-value]


def hand_frame(body: Body, side: Side) -> Array:
    """Return (3, 3) at rest, in columns: towards the fingers, out of the palm, and their cross product."""
    wrist = body.head(f"wrist.{side}")
    index, little = body.head(f"finger2-1.{side}"), body.head(f"finger5-1.{side}")
    along = body.head(f"finger3-1.{side}") - wrist
    normal = np.cross(index - wrist, little - wrist)
    return frame(along, normal if side == "R" else -normal)


def finger_turns(body: Body, side: Side, shape: HandShape, hand: Array) -> dict[str, Array]:
    """Return global rotations of the 15 finger bones, for a hand whose own rotation from rest is `hand`."""
    rest = hand_frame(body, side)
    palm = rest[:, 1]
    mirror = 1.0 if side == "R" else -1.0
    turns: dict[str, Array] = {}
    for name, number in FINGERS.items():
        finger: Finger = getattr(shape, name)
        chain = [body.head(f"finger{number}-{k}.{side}") for k in (1, 2, 3)]
        chain.append(body.tip(f"finger{number}-3.{side}"))
        bones = [unit(b - a) for a, b in pairwise(chain)]
        base = frame(rest[:, 0], palm)[:, 0]
        axis = unit(np.cross(bones[0], palm))  # a positive rotation folds the finger into the palm
        at_rest = [
            _bend(base, bones[0], axis),
            _bend(bones[0], bones[1], axis),
            _bend(bones[1], bones[2], axis),
        ]
        wanted = (finger.knuckle, finger.middle, finger.end)
        turned = hand @ turn(palm, -mirror * finger.spread)
        for k in range(3):
            turned = turned @ turn(axis, wanted[k] - at_rest[k])
            turns[f"finger{number}-{k + 1}.{side}"] = turned
    turns |= _thumb_turns(body, side, shape.thumb, hand, rest)
    return turns


def _thumb_turns(body: Body, side: Side, thumb: Thumb, hand: Array, rest: Array) -> dict[str, Array]:
    mirror = 1.0 if side == "R" else -1.0
    along, palm = rest[:, 0], rest[:, 1]
    first, second, third = (body.head(f"finger1-{k}.{side}") for k in (1, 2, 3))
    tip = body.tip(f"finger1-3.{side}")
    bone = unit(second - first)
    fold = unit(np.cross(unit(third - second), unit(tip - third)))
    base = (
        hand
        @ turn(along, -mirror * thumb.across)
        @ turn(palm, mirror * thumb.out)
        @ turn(bone, mirror * thumb.roll)
    )
    middle = base @ turn(fold, thumb.knuckle)
    return {
        f"finger1-1.{side}": base,
        f"finger1-2.{side}": middle,
        f"finger1-3.{side}": middle @ turn(fold, thumb.tip),
    }


def _bend(a: Array, b: Array, axis: Array) -> float:
    """Degrees that rotate `a` into `b` about `axis`."""
    a, b = a - axis * (a @ axis), b - axis * (b @ axis)
    return math.degrees(math.atan2(np.cross(a, b) @ axis, a @ b))


@dataclass(frozen=True)
class ArmPose:
    """Position and orientation of a hand, in world axes, for a body that is not rotated.

    `wrist` is metres from the shoulder joint, `elbow` the side to which the elbow points,
    `fingers` and `palm` the directions of the fingers (if they were straight) and out of the palm.
    """

    wrist: Array
    elbow: Array
    fingers: Array
    palm: Array


def arm_turns(body: Body, side: Side, arm: ArmPose, shape: HandShape, chest: Array) -> dict[str, Array]:
    """Return global rotations from the collar bone to the fingertips (two-bone inverse kinematics).

    `chest` is the rotation of the upper body, which carries the whole arm.
    """
    shoulder, elbow, wrist = (body.head(f"{b}.{side}") for b in ("upperarm01", "lowerarm01", "wrist"))
    upper, lower = np.linalg.norm(elbow - shoulder), np.linalg.norm(wrist - elbow)
    reach = min(float(np.linalg.norm(arm.wrist)), 0.995 * (upper + lower))
    towards = unit(arm.wrist)
    beside = frame(towards, arm.elbow)[:, 1]
    cos = (upper**2 + reach**2 - lower**2) / (2 * upper * reach)
    new_elbow = upper * (cos * towards + math.sqrt(max(0.0, 1 - cos**2)) * beside)
    new_wrist = reach * towards
    hinge = np.cross(new_elbow, new_wrist - new_elbow)
    rest_hinge = np.cross(elbow - shoulder, wrist - elbow)
    upper_turn = chest @ frame(new_elbow, hinge) @ frame(elbow - shoulder, rest_hinge).T
    lower_turn = chest @ frame(new_wrist - new_elbow, hinge) @ frame(wrist - elbow, rest_hinge).T
    hand = chest @ frame(arm.fingers, arm.palm) @ hand_frame(body, side).T
    raised = max(0.0, math.degrees(math.asin(np.clip(unit(new_elbow)[2], -1, 1))) + 45)
    collar = chest @ turn(np.array([0, 1, 0]), (1 if side == "R" else -1) * min(14.0, 0.16 * raised))
    swing, twist = _swing_and_twist(upper_turn, chest, unit(elbow - shoulder))
    _, fore_twist = _swing_and_twist(hand, lower_turn, unit(wrist - elbow))
    return {
        f"clavicle.{side}": collar,
        f"shoulder01.{side}": collar,
        f"upperarm01.{side}": swing @ turn(unit(elbow - shoulder), twist * 0.5),
        f"upperarm02.{side}": upper_turn,
        f"lowerarm01.{side}": lower_turn @ turn(unit(wrist - elbow), fore_twist * 0.2),
        f"lowerarm02.{side}": lower_turn @ turn(unit(wrist - elbow), fore_twist * 0.65),
        f"wrist.{side}": hand,
        **finger_turns(body, side, shape, hand),
    }


def _swing_and_twist(wanted: Array, base: Array, axis: Array) -> tuple[Array, float]:
    """Decompose `wanted` = swing @ turn(axis, twist): twist in degrees about the bone's rest direction."""
    local = base.T @ wanted
    w = math.sqrt(max(0.0, 1 + np.trace(local))) / 2
    if w < 1e-6:
        return wanted, 0.0
    vector = np.array([local[2, 1] - local[1, 2], local[0, 2] - local[2, 0], local[1, 0] - local[0, 1]]) / (
        4 * w
    )
    twist = math.degrees(2 * math.atan2(vector @ axis, w))
    twist = (twist + 180) % 360 - 180
    return wanted @ turn(axis, -twist), twist


def mix_arms(a: ArmPose, b: ArmPose, share: float) -> ArmPose:
    """Interpolate `a` to `b`: the wrist on an arc about the shoulder, directions rotated evenly."""
    length = (1 - share) * np.linalg.norm(a.wrist) + share * np.linalg.norm(b.wrist)
    pairs: Mapping[str, tuple[Array, Array]] = {
        n: (getattr(a, n), getattr(b, n)) for n in ("wrist", "elbow", "fingers", "palm")
    }
    mixed = {n: _turn_towards(unit(x), unit(y), share) for n, (x, y) in pairs.items()}
    return ArmPose(mixed["wrist"] * length, mixed["elbow"], mixed["fingers"], mixed["palm"])


def _turn_towards(a: Array, b: Array, share: float) -> Array:
    angle = math.acos(float(np.clip(a @ b, -1, 1)))
    if angle < 1e-4:
        return b
    return (math.sin((1 - share) * angle) * a + math.sin(share * angle) * b) / math.sin(angle)
