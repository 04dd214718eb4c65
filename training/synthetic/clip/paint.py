"""Vertex masks, 0..1, for skin colours: palms, cheeks, lips, irises and creases."""

from __future__ import annotations

import numpy as np

from training.synthetic.clip.body import Array, Body, unit
from training.synthetic.clip.clothes import vertex_normals
from training.synthetic.clip.gestures import hand_frame
from training.synthetic.clip.hair import scalp

LIPS_AT = (0.909, 0.4855)  # in anny's texture, read off its layout
LIPS_SIZE = (0.013, 0.036)


def masks(body: Body) -> dict[str, Array]:
    """Return name -> (V,) for palm, red, lips, dark, crease, iris."""
    v = body.vertices
    normals = vertex_normals(v, body.quads)
    zero = np.zeros(len(v))
    palm, red, crease = zero.copy(), zero.copy(), zero.copy()
    for side in ("L", "R"):
        own = np.unique(body.quads[body.part == f"hand.{side}"])
        out = hand_frame(body, side)[:, 1]  # type: ignore[arg-type]
        palm[own] = np.clip(0.5 + 1.2 * (normals[own] @ out), 0, 1)
        for number in (1, 2, 3, 4, 5):
            tip = body.tip(f"finger{number}-3.{side}")
            red += 0.7 * _blob(v, tip, 0.014)
            for k in (1, 2, 3):
                if number == 1 and k == 1:
                    continue
                joint = body.head(f"finger{number}-{k}.{side}")
                following = body.head(f"finger{number}-{k + 1}.{side}") if k < 3 else tip
                back = np.clip(-(normals @ out), 0, 1)
                red += 0.55 * back * _blob(v, joint, 0.013)
                crease += 0.5 * np.clip(normals @ out, 0, 1) * _band(v, joint, following)
    eyes = {
        s: np.unique(body.quads[np.isin(body.part, [f"eye_front.{s}", f"eye_back.{s}"])]) for s in ("L", "R")
    }
    iris = zero.copy()
    for side, own in eyes.items():
        centre = body.head(f"eye.{side}")
        forward = np.array([0.0, -1.0, 0.0])
        away = np.array(
            [unit(p - centre) @ forward if np.linalg.norm(p - centre) > 1e-6 else 0 for p in v[own]]
        )
        iris[own] = np.clip(1 - np.degrees(np.arccos(np.clip(away, -1, 1))) / 50, 0, 1)
    return {
        "palm": palm,
        "red": np.clip(red, 0, 1),
        "lips": _lips(body),
        "dark": np.clip(_brows(body), 0, 1),
        "scalp": scalp(body),
        "crease": np.clip(crease, 0, 1),
        "iris": iris,
    }


def _lips(body: Body) -> Array:
    """An ellipse in the texture around the mouth."""
    lips = np.zeros(len(body.vertices))
    away = (body.corner_uv - np.array(LIPS_AT)) / np.array(LIPS_SIZE)
    inside = np.clip(2.2 * (1 - np.linalg.norm(away, axis=2)), 0, 1) * (body.part == "head")[:, None]
    np.maximum.at(lips, body.quads, inside)
    return lips


def _brows(body: Body) -> Array:
    """Two arcs above the eyes."""
    v = body.vertices
    brows = np.zeros(len(v))
    for side in ("L", "R"):
        eye = body.head(f"eye.{side}")
        across = (v[:, 0] - eye[0]) * np.sign(eye[0])
        arc = eye[2] + 0.0185 + 0.004 * np.cos((across - 0.004) / 0.02)
        near = (np.abs(across - 0.003) < 0.022) & (v[:, 1] < eye[1] + 0.01)
        brows = np.maximum(brows, near * np.clip(1.7 * np.exp(-(((v[:, 2] - arc) / 0.0042) ** 2)), 0, 1))
    return brows


def _blob(v: Array, at: Array, radius: float) -> Array:
    return np.exp(-(((v - at) ** 2).sum(axis=1)) / (2 * radius**2))


def _band(v: Array, joint: Array, following: Array) -> Array:
    """The crease across a finger at a joint."""
    way = unit(following - joint)
    return _blob(v, joint, 0.012) * np.exp(-(((v - joint) @ way) ** 2) / (2 * 0.002**2))
