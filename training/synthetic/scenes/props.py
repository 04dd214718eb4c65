"""Objects from boxes and prisms: tables, cups, telephones, sheets of paper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.synthetic.scenes.camera_model import Mesh
from training.synthetic.scenes.hands import Array, unit

THING = 6  # material number of objects


@dataclass(frozen=True, eq=False)
class Solid:
    """A mesh with its positions and normals."""

    mesh: Mesh
    positions: Array
    normals: Array

    def placed(self, centre: Array, axes: Array) -> tuple[Array, Array]:
        """Return positions and normals with x, y, z along the columns of `axes` (3, 3)."""
        return self.positions @ axes.T + centre, self.normals @ axes.T


def box(size: tuple[float, float, float], colour: Array, grain: float = 0.0) -> Solid:
    """Create a box around the origin; metres, linear colour."""
    corners, normals, triangles = [], [], []
    for axis in range(3):
        for sign in (-1, 1):
            first, second = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
            out = sign * np.eye(3)[axis]
            start = len(corners)
            for u, v in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                corners.append((out + u * first + v * second) * np.array(size) / 2)
                normals.append(out)
            triangles += [(start, start + 1, start + 2), (start, start + 2, start + 3)]
    return _solid(np.array(corners), np.array(normals), triangles, colour, grain)


def prism(radius: float, height: float, colour: Array, sides: int = 20) -> Solid:
    """Create a cup: upright along z, closed."""
    a = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = np.stack([np.cos(a) * radius, np.sin(a) * radius, np.zeros(sides)], axis=1)
    up = np.array([0, 0, height / 2])
    corners = np.concatenate([ring * (0.85, 0.85, 1) - up, ring + up, ring + up, [up]])
    normals = np.concatenate([unit(ring), unit(ring), np.tile([0, 0, 1.0], (sides + 1, 1))])
    triangles = []
    for i in range(sides):
        j = (i + 1) % sides
        triangles += [(i, j, sides + j), (i, sides + j, sides + i), (2 * sides + i, 2 * sides + j, 3 * sides)]
    return _solid(corners, normals, triangles, colour, 0.0)


def _solid(
    corners: Array, normals: Array, triangles: list[tuple[int, ...]], colour: Array, grain: float
) -> Solid:
    matter = np.tile([THING, grain], (len(corners), 1))
    tones = np.tile(colour, (len(corners), 1))
    return Solid(Mesh(np.array(triangles), tones, corners, matter), corners, normals)
