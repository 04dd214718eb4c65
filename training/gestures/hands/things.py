"""Things that rendered hands hold: rods, pens, cigarettes, slabs, balls, cloth, cups, the other hand.

Coordinates are those of the hand (`poses`): metres, fingers along -Y, palm towards -X, thumb towards -Z.
Sizes are those of household things: a pen is 8 to 12 mm thick, a telephone 65 to 80 mm wide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

AROUND = 20  # sides of what is round
KNUCKLES, TIPS = (5, 9, 13, 17), (8, 12, 16, 20)


@dataclass(frozen=True)
class Solid:
    """Triangles with a colour of 0..255 for every vertex."""

    vertices: np.ndarray  # (V, 3)
    normals: np.ndarray  # (V, 3), unit
    faces: np.ndarray  # (F, 3)
    colours: np.ndarray  # (V, 3)


NOTHING = Solid(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3), int), np.zeros((0, 3)))


def join(*solids: Solid) -> Solid:
    """Return several solids as one."""
    first = np.cumsum([0, *(len(one.vertices) for one in solids[:-1])])
    return Solid(
        np.concatenate([one.vertices for one in solids]),
        np.concatenate([one.normals for one in solids]),
        np.concatenate([one.faces + at for one, at in zip(solids, first, strict=True)]),
        np.concatenate([one.colours for one in solids]),
    )


def turn_to(direction: np.ndarray) -> np.ndarray:
    """Return a rotation that takes +Y to `direction`."""
    y = direction / np.linalg.norm(direction)
    x = np.cross(y, [0, 0, 1.0] if abs(y[2]) < 0.9 else [1.0, 0, 0])
    x /= np.linalg.norm(x)
    return np.stack([x, y, np.cross(x, y)], 1)


def prism(
    start: np.ndarray, end: np.ndarray, wide: float, flat: float, sides: int, colour: np.ndarray
) -> Solid:
    """Build a prism or cylinder from `start` to `end`; radii: `wide`, and `flat` times that across."""
    a = np.linspace(0, 2 * np.pi, sides, endpoint=False) + np.pi / 4
    ring = np.stack([np.cos(a) * wide * flat, np.zeros(sides), np.sin(a) * wide], 1)
    axis = end - start
    middle, up = (start + end) / 2, np.array([0, np.linalg.norm(axis) / 2, 0])
    vertices, normals, faces = [], [], []
    for i in range(sides):
        j, base = (i + 1) % sides, len(vertices)
        vertices += [ring[i] - up, ring[j] - up, ring[j] + up, ring[i] + up]
        normals += [ring[i] + ring[j]] * 4 if sides == 4 else [ring[i], ring[j], ring[j], ring[i]]
        faces += [[base, base + 1, base + 2], [base, base + 2, base + 3]]
    for cap in (-up, up):
        base = len(vertices)
        vertices += [r + cap for r in ring]
        normals += [cap] * sides
        faces += [[base, base + i, base + i + 1] for i in range(1, sides - 1)]
    turn = turn_to(axis)
    n = np.array(normals) @ turn.T
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    return Solid(
        np.array(vertices) @ turn.T + middle, n, np.array(faces), np.tile(colour, (len(vertices), 1))
    )


def ellipsoid(centre: np.ndarray, radii: np.ndarray, turn: np.ndarray, colour: np.ndarray) -> Solid:
    """Build an ellipsoid."""
    rows, columns = 10, AROUND
    u, v = np.meshgrid(
        np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, columns, endpoint=False), indexing="ij"
    )
    ball = np.stack([np.sin(u) * np.cos(v), np.cos(u), np.sin(u) * np.sin(v)], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij")
    p, q = i * columns + j, i * columns + (j + 1) % columns
    faces = np.concatenate(
        [np.stack([p, q, p + columns], -1), np.stack([q, q + columns, p + columns], -1)]
    ).reshape(-1, 3)
    n = (ball / radii) @ turn.T
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    return Solid((ball * radii) @ turn.T + centre, n, faces, np.tile(colour, (len(ball), 1)))


def _colour(rng: np.random.Generator) -> np.ndarray:
    """Any colour; metal, wood, black and white are more frequent."""
    usual = ((190, 192, 198), (150, 105, 65), (25, 25, 28), (240, 240, 238))
    if rng.random() < 0.5:
        return np.array(usual[rng.integers(len(usual))]) * rng.uniform(0.85, 1.05)
    return rng.uniform(5, 250, 3)


def _axis(direction: np.ndarray, rng: np.random.Generator, spread: float) -> np.ndarray:
    axis = direction / np.linalg.norm(direction) + rng.normal(0, spread, 3)
    return axis / np.linalg.norm(axis)


def rod(points: np.ndarray, rng: np.random.Generator) -> Solid:
    """Build what a closed hand holds by its handle: fork, whisk, brush, rope, rail, toy."""
    inside = (
        0.3 * points[list(KNUCKLES)].mean(0)
        + 0.35 * points[[6, 10, 14, 18]].mean(0)
        + 0.35 * points[list(TIPS)].mean(0)
    )
    axis = _axis(points[5] - points[17], rng, 0.2)
    wide = rng.uniform(0.003, 0.014)
    up, down = np.exp(rng.uniform(np.log(0.05), np.log(0.25), 2))
    start, end = inside - axis * down, inside + axis * up
    handle = prism(start, end, wide, 1.0 if rng.random() < 0.7 else rng.uniform(0.3, 1), AROUND, _colour(rng))
    if rng.random() < 0.4:
        return handle
    radii = np.array([rng.uniform(0.004, 0.04), rng.uniform(0.01, 0.06), rng.uniform(0.004, 0.04)])
    end = end if rng.random() < 0.7 else start
    return join(handle, ellipsoid(end, radii, turn_to(axis), _colour(rng)))


def pen(points: np.ndarray, rng: np.random.Generator) -> Solid:
    """Build what the fingertips hold: pen, brush, spoon, needle, make-up."""
    tip = (points[4] + points[8]) / 2 + rng.normal(0, 0.003, 3)
    axis = _axis(points[5] + np.array([0, 0, -0.012]) - tip, rng, 0.15)
    wide, ahead, behind = rng.uniform(0.002, 0.006), rng.uniform(0.01, 0.07), rng.uniform(0.06, 0.16)
    start = tip - axis * ahead
    shaft = prism(start, tip + axis * behind, wide, 1.0, AROUND, _colour(rng))
    if rng.random() < 0.6:
        return shaft
    radii = np.array([rng.uniform(0.003, 0.02), rng.uniform(0.006, 0.03), rng.uniform(0.003, 0.02)])
    return join(shaft, ellipsoid(start, radii, turn_to(axis), _colour(rng)))


def cigarette(points: np.ndarray, rng: np.random.Generator) -> Solid:
    """Build what lies between index and middle finger: cigarette, pen, card."""
    between = (points[7] + points[11]) / 2 * rng.uniform(0.4, 1) + (points[6] + points[10]) / 2 * 0
    between = between + ((points[6] + points[10]) / 2 - between) * rng.uniform(0, 1)
    axis = _axis(np.array([-1.0, 0, 0]), rng, 0.25)
    out, back = rng.uniform(0.02, 0.08), rng.uniform(0.005, 0.06)
    white = np.array([238.0, 235, 228]) if rng.random() < 0.6 else _colour(rng)
    return prism(between - axis * back, between + axis * out, rng.uniform(0.003, 0.005), 1.0, AROUND, white)


def slab(points: np.ndarray, rng: np.random.Generator) -> Solid:
    """Build what is flat: telephone, book, card, plate, remote control."""
    centre = (points[list(KNUCKLES)].mean(0) + points[list(TIPS)].mean(0)) / 2
    centre = centre + np.array([-rng.uniform(0.012, 0.035), 0, 0]) + rng.normal(0, 0.012, 3)
    axis = _axis(np.array([0, 1.0, 0]), rng, 0.3)
    tall, wide, thin = rng.uniform(0.05, 0.12), rng.uniform(0.02, 0.06), rng.uniform(0.003, 0.01)
    return prism(centre - axis * tall, centre + axis * tall, wide, thin / wide, 4, _colour(rng))


def ball(points: np.ndarray, rng: np.random.Generator) -> Solid:
    """Build what is round: ball, fruit, bulb, bun."""
    radii = rng.uniform(0.018, 0.045) * np.exp(rng.normal(0, 0.15, 3))
    centre = (points[list(KNUCKLES)].mean(0) + points[list(TIPS)].mean(0) + points[4]) / 3
    centre = centre + np.array([-radii[0] * 0.6, 0, 0]) + rng.normal(0, 0.008, 3)
    return ellipsoid(centre, radii, turn_to(rng.normal(0, 1, 3)), _colour(rng))


def cloth(points: np.ndarray, rng: np.random.Generator) -> Solid:
    """Build what has no shape of its own: cloth, hair, bag, toy, food."""
    centre = points[list(TIPS)].mean(0) * 0.6 + points[list(KNUCKLES)].mean(0) * 0.4
    colour = _colour(rng)
    side = _axis(points[17] - points[5], rng, 0.4) * rng.choice([-1, 1])
    lumps = []
    for _ in range(rng.integers(4, 9)):
        at = centre + side * rng.uniform(0.02, 0.1) + rng.normal(0, 0.018, 3)
        radii = rng.uniform(0.008, 0.035, 3)
        shade = colour * rng.uniform(0.8, 1.1)
        lumps.append(ellipsoid(at, radii, turn_to(rng.normal(0, 1, 3)), shade))
    return join(*lumps)


def cup(points: np.ndarray, rng: np.random.Generator) -> Solid:
    """Build what a hand closes around: cup, bottle, glass, can."""
    wide, tall = rng.uniform(0.02, 0.042), rng.uniform(0.04, 0.11)
    centre = (points[5] + points[17] + points[8] + points[20]) / 4
    centre = centre + np.array([-wide * 0.4, 0, 0]) + rng.normal(0, 0.01, 3)
    axis = _axis(np.array([0, 0, 1.0]), rng, 0.4)
    sides = AROUND if rng.random() < 0.8 else 4
    return prism(centre - axis * tall, centre + axis * tall, wide, 1.0, sides, _colour(rng))


THINGS: dict[str, Callable[[np.ndarray, np.random.Generator], Solid]] = {
    "rod": rod, "pen": pen, "cigarette": cigarette, "slab": slab, "ball": ball, "cloth": cloth, "cup": cup,
}  # fmt: skip
OTHER_HAND = "hand"  # built by the renderer, which has the mesh
