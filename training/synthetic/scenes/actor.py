"""One person of the cast: mesh, bones, colours, and poses from a script."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.synthetic.clip.colours import HAIRS, SKINS, Colour
from training.synthetic.scenes.camera_model import Mesh
from training.synthetic.scenes.hands import Array, unit
from training.synthetic.scenes.rig import SIDES, Rig, Side, X, Y, Z, turn
from training.synthetic.scenes.script import Measures, Script, measures_of

SKIN, SHIRT, TROUSERS, HAIR, EYE, SHOE = range(6)  # as MATERIALS in training/synthetic/scenes/characters.py
PALM, RED, LIPS, DARK, SCALP, CREASE, IRIS = range(7)
PALE_SKIN = (0.72, 0.42, 0.33)
STRIDE_M = 1.3
TABLE_M = 0.74
CLOTH_M = 0.005


@dataclass(frozen=True)
class Wear:
    """Linear colours of one person's skin, hair and clothes."""

    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoe: Colour


def dressed(rng: np.random.Generator) -> Wear:
    """Return random colours for a person."""
    skin = np.array(SKINS[str(rng.choice(list(SKINS)))]) * rng.uniform(0.85, 1.15)
    hair = np.array(HAIRS[rng.integers(len(HAIRS))]) * rng.uniform(0.8, 1.3)
    colours = [rng.uniform(0.01, 0.6, 3) * rng.uniform(0.15, 1.2) for _ in range(3)]
    if rng.random() < 0.3:  # white, grey, black
        colours[0] = np.full(3, rng.choice([0.01, 0.03, 0.15, 0.5, 0.7]))
    shirt, trousers, shoe = (_three(c * k) for c, k in zip(colours, (1, 0.4, 0.3), strict=True))
    return Wear(_three(skin), _three(hair), shirt, trousers, shoe)


def _three(colour: Array) -> Colour:
    return float(colour[0]), float(colour[1]), float(colour[2])


class Actor:
    """A body from the cast, standing or seated at a place in the room."""

    def __init__(self, pack: Path, *, seated: bool, at: tuple[float, float], yaw: float) -> None:
        """Place the body.

        `at` is x, y in metres on the floor, `yaw` degrees to the own left of the camera's direction.
        """
        with np.load(pack) as data:
            d = {name: data[name] for name in data.files}
        self.rig = Rig(
            [str(b) for b in d["bones"]], d["parents"], d["heads"].astype(float), d["tips"].astype(float)
        )
        self._triangles, self._kind = d["triangles"], d["kind"]
        self._masks = d["masks"].astype(np.float32)
        cloth = np.isin(self._kind, (SHIRT, TROUSERS))[:, None]
        self._normals = d["normals"]
        self._rest = (d["vertices"] + CLOTH_M * cloth * self._normals).astype(
            np.float32
        )  # no skin intersects the cloth
        self._weights = np.ascontiguousarray(d["weights"].astype(np.float32))
        self._seated, self.at, self._yaw = seated, at, yaw
        hip, knee = self.rig.head("upperleg01.L"), self.rig.head("lowerleg01.L")
        self._drop = float(hip[2] - knee[2]) - 0.04 if seated else 0.0
        table = TABLE_M + self._drop if seated else None
        self.measures: Measures = measures_of(self.rig, float(d["belly"]), table)

    @property
    def crown(self) -> Array:
        """Return the (3,) top of the head, where the person belongs."""
        return np.array([*self.at, self._rest[:, 2].max() - self._drop])

    def mesh(self, wear: Wear) -> Mesh:
        """Return the coloured mesh."""
        table = np.array([wear.skin, wear.shirt, wear.trousers, wear.hair, (0.62, 0.58, 0.55), wear.shoe])
        colour = table[self._kind]
        skin = self._kind == SKIN
        colour[skin] = _skin(wear, self._masks[skin])
        eye = self._masks[:, IRIS:] * (self._kind == EYE)[:, None]
        colour = np.where(eye > 0.5, np.array([0.05, 0.03, 0.02]), colour)
        uneven = np.array([0.08, 0.06, 0.06, 0.3, 0.0, 0.05])[self._kind]
        colour = colour * np.exp(uneven * _waves(self._rest, 55.0, 4, 9))[:, None]
        matter = np.stack([self._kind, np.zeros(len(colour))], axis=1)
        return Mesh(self._triangles, colour, self._rest, matter)

    def bones(self, script: Script, times: Array) -> Array:
        """Return the (T, B, 3, 4) matrices of the bones at these seconds."""
        sway, chest, head, place = (
            script.sway_at(times), script.chest.at(times), script.head.at(times), script.place.at(times),
        )  # fmt: skip
        upper = (
            turn(Z, chest[:, 0] + sway[:, 0]) @ turn(X, chest[:, 1] + 0.7 * sway[:, 1]) @ turn(Y, chest[:, 2])
        )
        half = turn(Z, 0.5 * chest[:, 0]) @ turn(X, 0.5 * chest[:, 1]) @ turn(Y, 0.5 * chest[:, 2])
        neck, skull = (
            turn(Z, k * (head[:, 0] + 2 * sway[:, 3]))
            @ turn(X, k * (head[:, 1] + sway[:, 4]))
            @ turn(Y, k * head[:, 2])
            for k in (0.5, 1.0)
        )
        turns = {"spine03": half, "spine01": upper, "neck02": neck @ upper, "head": skull @ upper}
        turns |= self._legs(place)
        for side in SIDES:
            turns |= self.rig.arm(side, script.arm_at(side, times), script.shape_at(side, times), upper)
        root = np.concatenate([place[:, :2] + self.at, np.full((len(times), 1), -self._drop)], axis=1)
        root[:, :2] += 0.006 * sway[:, 4:6]
        return self.rig.place(turns, root, turn(Z, place[:, 2] + self._yaw))

    def _legs(self, place: Array) -> dict[str, Array]:
        if self._seated:
            sign = {"L": 1, "R": -1}
            thighs = {
                s: turn(Z, np.full(len(place), 7.0 * k)) @ turn(X, np.full(len(place), -84.0))
                for s, k in sign.items()
            }
            still = np.broadcast_to(np.eye(3), (len(place), 3, 3))
            return {f"upperleg01.{s}": t for s, t in thighs.items()} | {
                f"lowerleg01.{s}": still for s in thighs
            }
        steps = np.linalg.norm(np.diff(place[:, :2], axis=0, prepend=place[:1, :2]), axis=1)
        walking = np.clip(steps / 0.05, 0, 1)
        phase = 2 * np.pi * (place[:, 0] + place[:, 1]) / STRIDE_M
        turns = {}
        for side, shift in (("L", 0.0), ("R", np.pi)):
            swing = 24 * np.sin(phase + shift) * walking
            turns[f"upperleg01.{side}"] = turn(X, swing)
            turns[f"lowerleg01.{side}"] = turn(X, swing + 18 * walking)
        return turns

    def skin(self, matrices: Array) -> tuple[Array, Array]:
        """Return (V, 3) positions and normals for the bones (B, 3, 4) of one time."""
        blended = (self._weights @ matrices.reshape(len(matrices), 12).astype(np.float32)).reshape(-1, 3, 4)
        places = np.einsum("vij,vj->vi", blended[:, :, :3], self._rest) + blended[:, :, 3]
        return places, np.einsum("vij,vj->vi", blended[:, :, :3], self._normals)

    def hand(self, matrices: Array, side: Side) -> tuple[Array, Array]:
        """Return (T, 3) palm centres, and (T, 3, 3): towards the fingers, out of the palm, their cross."""
        wrist = self.rig.point(matrices, f"wrist.{side}")
        knuckles = [self.rig.point(matrices, f"finger{k}-1.{side}") for k in (2, 3, 5)]
        along = unit(knuckles[1] - wrist)
        out = unit(np.cross(knuckles[0] - wrist, knuckles[2] - wrist)) * (1 if side == "R" else -1)
        return wrist + (knuckles[1] - wrist) * 0.8, np.stack([along, out, np.cross(along, out)], axis=2)


def _waves(places: Array, a_metre: float, count: int, seed: int) -> Array:
    """(V,) smooth noise about -1..1 fixed to the rest pose: folds, locks, blotches."""
    rng = np.random.default_rng(seed)
    ways = rng.normal(0, a_metre, (count, 3))
    return np.asarray(np.sin(places @ ways.T + rng.uniform(0, 2 * np.pi, count)).sum(axis=1) / np.sqrt(count))


def _skin(wear: Wear, masks: Array) -> Array:
    """(N, 3) colours: pale palms, redder knuckles and cheeks, lips, brows, stubble where hair grows."""
    base = np.array(wear.skin)
    colour = np.tile(base, (len(masks), 1))
    targets = (
        (PALM, 1.0, 0.72 * base + 0.28 * np.array(PALE_SKIN)),
        (RED, 0.75, base * (1.05, 0.66, 0.62)),
        (LIPS, 1.0, base * (0.85, 0.5, 0.52)),
        (DARK, 0.9, 0.15 * base + 0.85 * np.array(wear.hair)),
        (CREASE, 1.0, base * (0.62, 0.45, 0.42)),
        (SCALP, 0.9, np.array(wear.hair)),
    )
    for column, share, target in targets:
        colour += masks[:, column : column + 1] * share * (target - colour)
    return colour
