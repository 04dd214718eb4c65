"""Model of a hand with joints and angles, and sampling of gestures and other hand shapes.

The hand is the generic right hand of the WebXR input profiles: fingers along -Y, palm towards -X,
thumb towards -Z, metres. Angles are radians, flexion positive. Left hands are mirror images.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FINGERS = ("index", "middle", "ring", "pinky")
# joint order of MediaPipe's 21 points, by the mesh's names
POINTS = (
    "wrist",
    "thumb-metacarpal",
    "thumb-phalanx-proximal",
    "thumb-phalanx-distal",
    "thumb-tip",
    *tuple(
        f"{f}-finger-{part}"
        for f in FINGERS
        for part in ("phalanx-proximal", "phalanx-intermediate", "phalanx-distal", "tip")
    ),
)


@dataclass
class Mesh:
    """A skinned mesh in its rest pose."""

    vertices: np.ndarray  # (V, 3)
    normals: np.ndarray
    joints: np.ndarray  # (V, 4) index
    weights: np.ndarray  # (V, 4)
    faces: np.ndarray  # (F, 3)
    names: list[str]
    bind: np.ndarray  # (J, 4, 4) joint frames at rest

    def at(self, name: str) -> int:
        """Return the index of a joint."""
        return self.names.index(name)


def load_mesh(path: Path) -> Mesh:
    """Read a skinned .glb (one mesh, one skin) without further libraries."""
    data = path.read_bytes()
    size = struct.unpack_from("<I", data, 12)[0]
    scene = json.loads(data[20 : 20 + size])
    blob = data[28 + size :]

    def accessor(i: int) -> np.ndarray:
        a = scene["accessors"][i]
        view = scene["bufferViews"][a["bufferView"]]
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}[a["type"]]
        kind = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}[a["componentType"]]
        start = view.get("byteOffset", 0) + a.get("byteOffset", 0)
        return np.frombuffer(blob, kind, a["count"] * width, start).reshape(a["count"], width)

    skin = scene["skins"][0]
    part = scene["meshes"][0]["primitives"][0]
    names = [scene["nodes"][j]["name"] for j in skin["joints"]]
    inverse = accessor(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1).astype(float)
    attributes = part["attributes"]
    weights = accessor(attributes["WEIGHTS_0"]).astype(float)
    return Mesh(
        accessor(attributes["POSITION"]).astype(float),
        accessor(attributes["NORMAL"]).astype(float),
        accessor(attributes["JOINTS_0"]).astype(int),
        weights / weights.sum(1, keepdims=True),
        accessor(part["indices"]).reshape(-1, 3).astype(int),
        names,
        np.linalg.inv(inverse),
    )


def turn(axis: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) about one unit axis by angles (...)."""
    k = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    a = np.asarray(angle)[..., None, None]
    return np.eye(3) + np.sin(a) * k + (1 - np.cos(a)) * (k @ k)


@dataclass
class Pose:
    """Joint angles: flexion (4, 3) and spread (4,) of the fingers; five angles of the thumb."""

    flex: np.ndarray
    spread: np.ndarray
    thumb: np.ndarray  # CMC about X, Y, Z; MCP; IP


class Skeleton:
    """Forward kinematics of the hand, and inverse kinematics of the thumb."""

    def __init__(self, mesh: Mesh, rng: np.random.Generator, table: int = 40000) -> None:
        self.mesh = mesh
        self.origin = mesh.bind[:, :3, 3]
        self.axes = mesh.bind[:, :3, :3].transpose(0, 2, 1)  # [j, axis] unit vectors
        self.axes = self.axes / np.linalg.norm(self.axes, axis=-1, keepdims=True)
        low = np.array([-0.75, -0.75, -0.6, -0.25, -0.5])
        high = np.array([0.75, 0.75, 0.6, 1.0, 1.3])
        self.table = rng.uniform(low, high, (table, 5))
        self.cost = (np.abs(self.table / np.maximum(-low, high)) ** 2).sum(1)
        chain = self._thumb(self.table)
        self.tip = chain[-1]
        self.knuckle = chain[-2]

    def _thumb(self, angles: np.ndarray) -> list[np.ndarray]:
        """Positions of the thumb's joints (N, 3) for angles (N, 5)."""
        m = self.mesh
        ids = [
            m.at(n)
            for n in ("thumb-metacarpal", "thumb-phalanx-proximal", "thumb-phalanx-distal", "thumb-tip")
        ]
        rotations = self.thumb_rotations(angles)
        out = [np.broadcast_to(self.origin[ids[0]], (len(angles), 3))]
        total = np.broadcast_to(np.eye(3), (len(angles), 3, 3))
        for i, rotation in enumerate(rotations):
            total = total @ rotation
            bone = self.origin[ids[i + 1]] - self.origin[ids[i]]
            out.append(out[-1] + total @ bone)
        return out

    def thumb_rotations(self, angles: np.ndarray) -> list[np.ndarray]:
        """Return the rotations of the thumb's three joints, (N, 3, 3) each."""
        m = self.mesh
        a, b, c = (self.axes[m.at("thumb-metacarpal")][i] for i in range(3))
        base = turn(b, angles[:, 1]) @ turn(a, -angles[:, 0]) @ turn(c, angles[:, 2])
        return [
            base,
            turn(self.axes[m.at("thumb-phalanx-proximal")][0], -angles[:, 3]),
            turn(self.axes[m.at("thumb-phalanx-distal")][0], -angles[:, 4]),
        ]

    def reach(self, target: np.ndarray, rng: np.random.Generator, *, straight: float = 0.0) -> np.ndarray:
        """Return thumb angles that bring the tip near `target`; `straight` prefers an unbent thumb."""
        some = rng.integers(0, len(self.table), 6000)
        miss = np.linalg.norm(self.tip[some] - target, axis=1) / 0.01
        score = miss**2 + 0.6 * self.cost[some] + straight * (self.table[some][:, 3:] ** 2).sum(1)
        return self.table[some[np.argmin(score)]].copy()

    def transforms(self, pose: Pose, scale: np.ndarray) -> np.ndarray:
        """Return (J, 4, 4) matrices from rest to pose; `scale` (5,) lengthens thumb and fingers."""
        m = self.mesh
        out = np.broadcast_to(np.eye(4), (len(m.names), 4, 4)).copy()

        def about(joint: int, rotation: np.ndarray, size: float = 1.0) -> np.ndarray:
            t = np.eye(4)
            t[:3, :3] = rotation * size
            t[:3, 3] = self.origin[joint] - t[:3, :3] @ self.origin[joint]
            return t

        parent = np.eye(4)
        names = ("thumb-metacarpal", "thumb-phalanx-proximal", "thumb-phalanx-distal")
        for i, (name, rotation) in enumerate(zip(names, self.thumb_rotations(pose.thumb[None]), strict=True)):
            j = m.at(name)
            parent = parent @ about(j, rotation[0], scale[0] if i == 0 else 1.0)
            out[j] = parent
        out[m.at("thumb-tip")] = parent
        for f, finger in enumerate(FINGERS):
            parent = np.eye(4)
            for i, part in enumerate(("phalanx-proximal", "phalanx-intermediate", "phalanx-distal")):
                j = m.at(f"{finger}-finger-{part}")
                rotation = turn(self.axes[j][0], -pose.flex[f, i])
                if i == 0:
                    rotation = turn(self.axes[j][1], pose.spread[f]) @ rotation
                parent = parent @ about(j, rotation, scale[f + 1] if i == 0 else 1.0)
                out[j] = parent
            out[m.at(f"{finger}-finger-tip")] = parent
        return out

    def points(self, transforms: np.ndarray) -> np.ndarray:
        """Return the 21 landmarks (21, 3)."""
        ids = [self.mesh.at(n) for n in POINTS]
        p = self.origin[ids]
        t = transforms[ids]
        return np.einsum("nij,nj->ni", t[:, :3, :3], p) + t[:, :3, 3]


# ---- gestures ---------------------------------------------------------------------------------
# a finger's state: e extended, c curled, l loosely curled, h half bent, o hooked,
# s slightly bent, ? anything


def finger(state: str, rng: np.random.Generator) -> np.ndarray:
    """Return the three flexions of a finger in a state."""
    u = rng.uniform
    if state == "e":
        return np.array([u(-0.25, 0.35), u(-0.05, 0.25), u(-0.05, 0.15)])
    if state == "c":
        p = u(1.45, 1.95)
        return np.array([u(0.9, 1.6), p, p * u(0.4, 0.75)])
    if state == "l":
        p = u(1.1, 1.7)
        return np.array([u(0.55, 1.3), p, p * u(0.35, 0.75)])
    if state == "h":
        p = u(0.6, 1.2)
        return np.array([u(0.3, 1.0), p, p * u(0.4, 0.8)])
    if state == "o":
        p = u(1.0, 1.7)
        return np.array([u(-0.1, 0.4), p, p * u(0.4, 0.8)])
    if state == "s":
        p = u(0.2, 0.6)
        return np.array([u(0.1, 0.6), p, p * u(0.4, 0.9)])
    p = u(0, 1.8)
    return np.array([u(-0.2, 1.5), p, p * u(0.3, 0.8)])


@dataclass
class Kind:
    """A kind of hand shape with its parameters and sampling weight."""

    label: str
    fingers: str  # states of index, middle, ring, pinky
    thumb: str  # target of the thumb
    share: float
    view: str = "front"  # front: palm or back to the camera; any: all around; side
    things: tuple[str, ...] = ()  # what it holds, of `things.THINGS`; one of them


KINDS: dict[str, Kind] = {
    "thumb": Kind("thumb", "cccc", "out", 0.15, "any"),
    "fist": Kind("fist", "cccc", "over", 0.09, "any"),
    "fist_side": Kind("fist", "cccc", "beside", 0.05, "any"),
    "fist_in": Kind("fist", "cccc", "inside", 0.01, "front"),
    "fist_loose": Kind("fist", "llll", "over", 0.025, "any"),
    "fist_loose_side": Kind("fist", "llll", "beside", 0.015, "any"),
    "fist_key": Kind("fist", "cccc", "key", 0.03, "any"),  # a straight thumb that lies on the index finger
    "stop": Kind("stop", "eeee", "spread", 0.08, "front"),
    "stop_closed": Kind("stop", "eeee", "along", 0.06, "front"),
    "ok": Kind("ok", "heee", "ring", 0.10, "front"),
    "ok_soft": Kind("ok", "hsss", "ring", 0.03, "front"),
    "two": Kind("two", "eecc", "on_ring", 0.09, "front"),
    "two_loose": Kind("two", "eecc", "on_palm", 0.03, "front"),
    "two_together": Kind("two", "EEcc", "on_ring", 0.05, "front"),
    "two_soft": Kind("two", "eell", "on_ring", 0.04, "front"),
    "two_beside": Kind("two", "eecc", "beside_two", 0.015, "front"),
    "one": Kind("random", "eccc", "on_middle", 0.035, "any"),
    "one_soft": Kind("random", "eccc", "beside_middle", 0.02, "any"),
    "gun": Kind("random", "eccc", "spread", 0.025, "any"),
    "three": Kind("random", "eeec", "on_pinky", 0.04, "front"),
    "one_loose": Kind("random", "elll", "on_middle", 0.02, "any"),
    "three_loose": Kind("random", "eeel", "on_pinky", 0.015, "front"),
    "rock_loose": Kind("random", "elle", "on_ring", 0.01, "front"),
    "three_thumb": Kind("random", "eecc", "spread", 0.035, "front"),
    "four": Kind("random", "eeee", "on_palm", 0.05, "front"),
    "four_deep": Kind("random", "eeee", "on_ring_base", 0.02, "front"),
    "call": Kind("random", "ccce", "spread", 0.03, "any"),
    "rock": Kind("random", "ecce", "on_ring", 0.03, "front"),
    "love": Kind("random", "ecce", "spread", 0.015, "front"),
    "pinky": Kind("random", "ccce", "on_ring", 0.015, "front"),
    "middle": Kind("random", "cecc", "on_ring", 0.01, "front"),
    "ok_middle": Kind("random", "ehee", "ring_middle", 0.02, "front"),
    "ok_ring": Kind("random", "eehe", "ring_ring", 0.02, "front"),
    "crossed": Kind("random", "XXcc", "on_ring", 0.025, "front"),
    "vulcan": Kind("random", "VVVV", "spread", 0.02, "front"),
    "relaxed": Kind("random", "ssss", "rest", 0.03, "any"),
    "half": Kind("random", "hhhh", "rest", 0.03, "any"),
    "claw": Kind("random", "oooo", "spread", 0.015, "any"),
    "zero": Kind("random", "hhhh", "ring", 0.025, "any"),
    "pinch": Kind("random", "hccc", "ring", 0.025, "any"),
    "pinch_half": Kind("random", "hhhh", "ring_near", 0.015, "any"),
    "grip": Kind("random", "hhhh", "grip", 0.03, "any"),
    "edge_thumb": Kind("random", "cc??", "out", 0.01, "any"),
    "three_middle": Kind("random", "ceee", "on_index", 0.04, "front"),
    "any": Kind("random", "????", "any", 0.03, "any"),
    "hold_closed": Kind("random", "cccc", "over", 0.03, "any", ("rod", "rod", "cloth")),
    "hold_closed_side": Kind("random", "llll", "beside", 0.03, "any", ("rod", "rod", "cloth")),
    "hold_key": Kind("random", "cccc", "key", 0.015, "any", ("rod", "slab", "cloth")),
    "hold_pen": Kind("random", "hhll", "ring_near", 0.03, "any", ("pen",)),
    "hold_pen_closed": Kind("random", "hlcc", "ring_near", 0.02, "any", ("pen",)),
    "hold_fingers": Kind("random", "eell", "rest", 0.02, "any", ("cigarette",)),
    "hold_fingers_open": Kind("random", "eehh", "rest", 0.01, "any", ("cigarette",)),
    "hold_flat": Kind("random", "hhhh", "grip", 0.025, "any", ("slab",)),
    "hold_open": Kind("random", "ssss", "grip", 0.02, "any", ("slab", "ball", "cup")),
    "hold_round": Kind("random", "hhhh", "grip", 0.025, "any", ("ball", "cup", "cloth")),
    "clasped": Kind("random", "llll", "over", 0.02, "any", ("hand",)),
    "clasped_half": Kind("random", "hhhh", "rest", 0.02, "any", ("hand",)),
    "palms": Kind("random", "eeee", "along", 0.01, "any", ("hand",)),
}
SAME_JOINTS = ("hold_closed", "hold_closed_side", "hold_key", "clasped", "palms")
"""Kinds whose joints are those of a gesture: only their picture says that they are none."""


def sample(kind: str, skeleton: Skeleton, rng: np.random.Generator) -> Pose:
    """Sample random angles of one kind."""
    k = KINDS[kind]
    states = k.fingers
    flex = np.stack([finger(s if s in "echosl?" else "e", rng) for s in states])
    # fingers of a hand move together: move equal states towards each other
    for s in "echosl":
        same = [i for i, x in enumerate(states) if x == s]
        if len(same) > 1:
            mean = flex[same].mean(0)
            flex[same] = mean + (flex[same] - mean) * rng.uniform(0.2, 0.9)
    fan = rng.uniform(-0.6, 1.0) if rng.random() < 0.6 else rng.normal(0, 0.2)
    spread = fan * np.array([0.22, 0.05, -0.12, -0.27]) + rng.normal(0, 0.03, 4)
    if kind == "stop_closed" or states.startswith("EE"):
        spread = np.array([-0.1, -0.02, 0.07, 0.15]) * rng.uniform(0.7, 1.3) + rng.normal(0, 0.02, 4)
    if states in ("eecc", "eell"):
        spread[0] = rng.uniform(0.05, 0.32)
        spread[1] = rng.uniform(-0.22, 0.02)
    if states.startswith("XX"):
        spread[0], spread[1] = rng.uniform(-0.4, -0.25), rng.uniform(0.12, 0.25)
        flex[1, 0] = flex[0, 0] + rng.uniform(0.1, 0.3)
    if states == "VVVV":
        spread = np.array([0.2, 0.22, -0.28, -0.2]) + rng.normal(0, 0.04, 4)
    spread = spread * np.clip(1 - flex[:, 0] / 1.6, 0.15, 1)
    pose = Pose(flex, spread, np.zeros(5))
    ring = {"ring": 0, "ring_near": 0, "ring_middle": 1, "ring_ring": 2}.get(k.thumb)
    if ring is not None:
        f = ring
        pose.flex[f] = [rng.uniform(0.45, 1.1), rng.uniform(0.7, 1.35), rng.uniform(0.15, 0.9)]
        if kind == "zero":
            pose.flex[:] = pose.flex[0] + rng.normal(0, 0.08, (4, 3))
        pose.thumb, pose.flex[f] = _close_ring(
            skeleton, pose, f, rng, 0.011 if k.thumb != "ring_near" else 0.035
        )
        if kind == "zero":
            pose.flex[1:] = pose.flex[0] + rng.normal(0, 0.08, (3, 3))
        return pose
    p = skeleton.points(skeleton.transforms(pose, np.ones(5)))
    n = rng.normal(0, 0.006, 3)
    palm = np.array([-1.0, 0, 0])
    cmc = p[1]

    def out_of(x: tuple[float, float], y: tuple[float, float], z: tuple[float, float]) -> np.ndarray:
        d = np.array([rng.uniform(*x), rng.uniform(*y), rng.uniform(*z)])
        return cmc + d / np.linalg.norm(d) * 0.079

    where = k.thumb
    straight = 0.0
    if where == "out":
        target, straight = out_of((-0.35, 0.25), (-0.85, -0.1), (-1, -0.75)), 3.0
    elif where == "spread":
        target, straight = out_of((-0.45, 0.15), (-0.9, -0.35), (-0.9, -0.45)), 2.0
    elif where == "along":
        target, straight = (
            p[5] + np.array([-0.012, rng.uniform(-0.03, 0.005), rng.uniform(-0.024, -0.014)]),
            2.0,
        )
    elif where == "over":
        target = (
            (p[6] * (w := rng.uniform(0.1, 0.9)) + p[10] * (1 - w)) * 0.5
            + 0.5 * (p[7] * w + p[11] * (1 - w))
            + palm * 0.014
            + n
        )
    elif where == "beside":
        target = p[6] + np.array([-0.006, rng.uniform(0.0, 0.02), -0.017]) + n
    elif where == "key":
        w = rng.uniform(0, 1)
        target = p[6] + np.array(
            [rng.uniform(-0.008, 0.012), rng.uniform(-0.02, 0.0), rng.uniform(-0.024, -0.014)]
        ) * (0.6 + 0.6 * w)
        straight = 2.0
    elif where == "beside_two":
        target = p[5] + np.array([-0.01, rng.uniform(-0.03, 0.0), rng.uniform(-0.022, -0.014)])
    elif where == "inside":
        target = p[9] + palm * 0.018 + np.array([0, 0.018, 0]) + n
    elif where == "on_ring":
        w = rng.uniform(0, 1)
        target = (
            p[14] * w * 0.5 + p[15] * 0.5 + p[11 if flex[1, 1] > 1 else 14] * (1 - w) * 0.5 + palm * 0.013 + n
        )
    elif where == "on_pinky":
        target = p[19] * 0.6 + p[18] * 0.4 + palm * 0.012 + n
    elif where == "on_middle":
        target = p[11] * 0.5 + p[10] * 0.5 + palm * 0.013 + n
    elif where == "on_index":
        target = p[7] * 0.5 + p[6] * 0.5 + palm * 0.013 + n
    elif where == "beside_middle":
        target = p[10] + np.array([-0.01, 0.01, -0.02]) + n
    elif where == "on_palm":
        target = (
            (p[9] * (w := rng.uniform(0, 1)) + p[13] * (1 - w))
            + palm * rng.uniform(0.016, 0.03)
            + np.array([0, rng.uniform(0.0, 0.03), 0])
            + n
        )
    elif where == "on_ring_base":
        target = p[17] * 0.4 + p[13] * 0.6 + palm * 0.02 + np.array([0, 0.015, 0]) + n
    elif where == "grip":
        target = (
            p[6] * 0.3
            + p[8] * 0.7
            + palm * rng.uniform(0.02, 0.06)
            + np.array([0, rng.uniform(-0.01, 0.03), -0.02])
            + n
        )
    elif where == "rest":
        target = (
            skeleton.tip[0] * 0 + skeleton.origin[skeleton.mesh.at("thumb-tip")] + rng.normal(0, 0.015, 3)
        )
    else:
        target = skeleton.tip[rng.integers(len(skeleton.tip))]
    pose.thumb = skeleton.reach(target, rng, straight=straight)
    return pose


def _close_ring(
    skeleton: Skeleton, pose: Pose, f: int, rng: np.random.Generator, gap: float
) -> tuple[np.ndarray, np.ndarray]:
    """Bend finger `f` and the thumb until their tips are `gap` apart."""
    best = (np.inf, np.zeros(5), pose.flex[f])
    start = pose.flex[f].copy()
    for _ in range(5):
        flex = start + rng.normal(0, 0.18, 3) * (best[0] < np.inf)
        flex[2] = np.clip(flex[2], 0, 1.2)
        trial = Pose(pose.flex.copy(), pose.spread, pose.thumb)
        trial.flex[f] = flex
        p = skeleton.points(skeleton.transforms(trial, np.ones(5)))
        tip, before = p[8 + 4 * f], p[7 + 4 * f]
        along = (tip - before) / np.linalg.norm(tip - before)
        pad = np.cross(along, [0, 0, 1.0])
        target = tip + gap * (0.75 * pad * np.sign(-pad[0] if abs(pad[0]) > 0.2 else pad[1]) + 0.3 * along)
        some = rng.integers(0, len(skeleton.table), 4000)
        miss = np.linalg.norm(skeleton.tip[some] - target, axis=1) / 0.01
        score = miss**2 + 0.3 * skeleton.cost[some]
        i = int(np.argmin(score))
        if score[i] < best[0]:
            best = (float(score[i]), skeleton.table[some[i]].copy(), flex)
    return best[1], best[2]
