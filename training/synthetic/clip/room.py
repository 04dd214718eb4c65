"""Random rooms from boxes: walls, floor, a shelf with books, a picture, a plant, a door."""

from __future__ import annotations

import colorsys
import random
from typing import Any

import bpy
import numpy as np

from training.synthetic.clip.colours import Colour
from training.synthetic.clip.materials import plain
from training.synthetic.clip.scene import add_area_light, set_sky

WALLS: tuple[Colour, ...] = (
    (0.40, 0.36, 0.29), (0.22, 0.28, 0.30), (0.42, 0.41, 0.38), (0.22, 0.28, 0.22), (0.36, 0.26, 0.19),
)  # fmt: skip
WOODS: tuple[Colour, ...] = ((0.28, 0.16, 0.08), (0.45, 0.30, 0.17), (0.62, 0.60, 0.57), (0.10, 0.07, 0.05))


def box(
    at: tuple[float, float, float], size: tuple[float, float, float], material: Any, bevel: float = 0.004
) -> Any:
    """Create a box by its centre and its edges, in metres."""
    x, y, z = (s / 2 for s in size)
    corners = [(i * x, j * y, k * z) for k in (-1, 1) for j in (-1, 1) for i in (-1, 1)]
    faces = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    data = bpy.data.meshes.new("box")
    data.from_pydata(corners, [], faces)
    data.materials.append(material)
    item = bpy.data.objects.new("box", data)
    item.location = at
    bpy.context.scene.collection.objects.link(item)
    if bevel:
        item.modifiers.new("edge", "BEVEL").width = bevel
    return item


def furnish(seed: int, back_y: float = 2.1, light: float = 1.0) -> None:
    """Create a room around a person at the origin who looks along -y; the camera is at negative y."""
    rng = random.Random(seed)
    wall = plain("wall", rng.choice(WALLS), 0.9, speckle=0.12)
    wood = plain("wood", rng.choice(WOODS), 0.45, speckle=0.5)
    white = plain("white", (0.75, 0.74, 0.71), 0.5)
    floor = plain("floor", rng.choice(WOODS[:2]), 0.5, speckle=0.5)
    box((0, back_y + 0.05, 1.35), (7, 0.1, 2.7), wall, 0)
    box((3.4, 0, 1.35), (0.1, 7, 2.7), wall, 0)
    box((-3.4, 0, 1.35), (0.1, 7, 2.7), wall, 0)
    box((0, 0, -0.05), (7, 7, 0.1), floor, 0)
    box((0, 0, 2.75), (7, 7, 0.1), plain("ceiling", (0.8, 0.8, 0.78), 0.9), 0)
    box((0, back_y - 0.008, 0.05), (7, 0.016, 0.1), white)
    shelf_x = rng.choice((-1.0, 1.0)) * rng.uniform(0.95, 1.25)
    _shelf(rng, shelf_x, back_y, wood)
    _picture(rng, -shelf_x * rng.uniform(0.75, 1.0), back_y, white)
    if rng.random() < 0.8:
        _plant(rng, -shelf_x * rng.uniform(1.2, 1.5), back_y - 0.35)
    if rng.random() < 0.5:
        _door(-shelf_x * 2.2, back_y, white)
    side = rng.choice((-1.0, 1.0))
    sun = 150 * light * rng.uniform(0.8, 1.2)
    add_area_light(np.array([side * 2.4, -1.7, 1.9]), np.array([0, 0, 1.2]), 1.6, sun, (1.0, 0.97, 0.92))
    add_area_light(
        np.array([-side * 1.2, -0.6, 2.6]), np.array([0, 0.3, 1.0]), 0.9, 45 * light, (1.0, 0.86, 0.7)
    )
    add_area_light(np.array([0, 1.0, 2.6]), np.array([0, back_y, 1.2]), 1.2, 30 * light, (1.0, 0.9, 0.78))
    set_sky(0.35 * light)


def _shelf(rng: random.Random, x: float, back_y: float, wood: Any) -> None:
    width, deep = 0.95, 0.28
    y = back_y - deep / 2
    for side in (-1, 1):
        box((x + side * width / 2, y, 0.95), (0.025, deep, 1.9), wood)
    box((x, back_y - 0.01, 0.95), (width, 0.012, 1.9), wood)
    for level in np.arange(0.1, 1.95, 0.36):
        box((x, y, float(level)), (width, deep, 0.025), wood)
        at = x - width / 2 + 0.03
        while at < x + width / 2 - 0.06 and level < 1.8:
            thick, tall = rng.uniform(0.018, 0.05), rng.uniform(0.19, 0.29)
            if rng.random() < 0.12:
                at += rng.uniform(0.04, 0.14)
                continue
            hue = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.2, 0.75), rng.uniform(0.1, 0.6))
            box(
                (at + thick / 2, y - 0.02, float(level) + 0.0125 + tall / 2),
                (thick * 0.94, 0.17, tall),
                plain("book", hue, 0.6),
                0.002,
            )
            at += thick


def _picture(rng: random.Random, x: float, back_y: float, frame: Any) -> None:
    width, height, z = rng.uniform(0.4, 0.7), rng.uniform(0.4, 0.6), rng.uniform(1.5, 1.65)
    box((x, back_y - 0.015, z), (width, 0.03, height), frame)
    for _ in range(4):
        hue = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.2, 0.6), rng.uniform(0.2, 0.7))
        w, h = rng.uniform(0.2, 0.85) * width, rng.uniform(0.15, 0.8) * height
        dx, dz = rng.uniform(-1, 1) * (0.88 * width - w) / 2, rng.uniform(-1, 1) * (0.88 * height - h) / 2
        box(
            (x + dx, back_y - 0.031 - 0.001 * rng.random(), z + dz),
            (w, 0.002, h),
            plain("paint", hue, 0.8),
            0,
        )


def _plant(rng: random.Random, x: float, y: float) -> None:
    pot = plain("pot", rng.choice(((0.5, 0.2, 0.1), (0.7, 0.7, 0.68), (0.1, 0.12, 0.14))), 0.6)
    leaf = plain("leaf", (0.05, 0.16, 0.045), 0.4, speckle=0.5)
    bpy.ops.mesh.primitive_cylinder_add(radius=0.16, depth=0.34, location=(x, y, 0.17), vertices=40)
    bpy.context.object.data.materials.append(pot)
    for _ in range(26):
        turn, lean, long = rng.uniform(0, 6.28), rng.uniform(0.15, 1.0), rng.uniform(0.45, 1.0)
        _leaf(np.array([x, y, 0.34]), turn, lean, long, leaf)


def _leaf(root: Any, turn: float, lean: float, long: float, material: Any) -> None:
    t = np.linspace(0, 1, 9)
    out = np.array([np.cos(turn), np.sin(turn), 0])
    side = np.array([-np.sin(turn), np.cos(turn), 0])
    spine = root + long * (
        np.outer(np.sin(lean * t) * t, out) + np.outer(t * np.cos(0.9 * lean * t), [0, 0, 1])
    )
    width = 0.045 * np.sin(np.pi * np.clip(t, 0.08, 1)) ** 0.7 + 0.002
    rows = np.stack([spine - width[:, None] * side, spine, spine + width[:, None] * side], axis=1)
    rows[:, 1, 2] -= 0.012
    faces = [(3 * i + j, 3 * i + j + 1, 3 * i + j + 4, 3 * i + j + 3) for i in range(8) for j in (0, 1)]
    data = bpy.data.meshes.new("leaf")
    data.from_pydata(rows.reshape(-1, 3).tolist(), [], faces)
    data.materials.append(material)
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("leaf", data))


def _door(x: float, back_y: float, white: Any) -> None:
    box((x, back_y - 0.01, 1.02), (0.95, 0.03, 2.04), white)
    box((x, back_y - 0.03, 1.02), (0.8, 0.03, 1.94), plain("door", (0.6, 0.58, 0.54), 0.5))
