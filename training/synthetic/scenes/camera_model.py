"""Inputs of the renderer: meshes, light, camera."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from training.synthetic.scenes.hands import Array, unit


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles (F, 3), and by vertex: colour (linear, V, 3), rest position (V, 3), material (V, 2).

    `matter` is the row of `MATERIALS` in training/synthetic/scenes/characters.py (6: an object) and how
    grainy an object is.
    """

    triangles: Array
    colour: Array
    rest: Array
    matter: Array


@dataclass(frozen=True)
class Light:
    """Directional light: the direction towards it and its linear colour."""

    sun: tuple[float, ...]
    sun_colour: tuple[float, ...]
    fill: tuple[float, ...]
    fill_colour: tuple[float, ...]
    sky: tuple[float, ...]
    ground: tuple[float, ...]


@dataclass(frozen=True)
class Camera:
    """A webcam: position and direction in metres, horizontal angle of view in degrees."""

    at: tuple[float, ...]
    looks_at: tuple[float, ...]
    degrees: float

    def matrix(self, aspect: float) -> Array:
        """Return the (4, 4) matrix from the world to clip space."""
        half = np.tan(np.radians(self.degrees) / 2)
        return _perspective(half, aspect) @ _view(np.array(self.at), np.array(self.looks_at))

    def project(self, points: Array, aspect: float) -> Array:
        """Project to (N, 3): fractions of the image from the upper left, and metres from the camera."""
        clip = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ self.matrix(aspect).T
        depth = np.maximum(clip[:, 3], 1e-3)
        x, y = (1 + clip[:, 0] / depth) / 2, (1 - clip[:, 1] / depth) / 2
        return np.stack([x, y, clip[:, 3]], axis=1)

    def wider(self, times: float) -> Camera:
        """Return the camera with an image larger by these factors in width and height."""
        half = times * np.tan(np.radians(self.degrees) / 2)
        return replace(self, degrees=float(2 * np.degrees(np.arctan(half))))


def _view(at: Array, looks_at: Array) -> Array:
    forward = unit(looks_at - at)
    right = unit(np.cross(forward, [0, 0, 1]))
    turn = np.stack([right, np.cross(right, forward), -forward])
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = turn, -turn @ at
    return view


def _perspective(half: float, aspect: float, near: float = 0.08, far: float = 12.0) -> Array:
    return np.array(
        [
            [1 / half, 0, 0, 0],
            [0, aspect / half, 0, 0],
            [0, 0, -(far + near) / (far - near), -2 * far * near / (far - near)],
            [0, 0, -1, 0],
        ]
    )


def sun_view(sun: tuple[float, ...], middle: Array, reach: float = 1.5) -> Array:
    """Return the (4, 4) world to shadow map matrix: parallel light on `reach` metres around a point."""
    view = _view(middle + 4 * np.array(sun), middle)
    flat = np.diag([1 / reach, 1 / reach, -1 / 4.0, 1.0])
    flat[2, 3] = -1.0
    return flat @ view
