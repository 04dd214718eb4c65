"""Person as a mesh with bones: shapes come from anny (MakeHuman data), posing is numpy.

World axes, in metres: x to the person's left, y to the back (the person looks along -y), z up;
z = 0 is the floor. All rotations are global, relative to the rest pose, in these axes, so that
the local axes of bones are not needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Shape:
    """Body shape: anny's phenotype parameters, each 0..1 (gender 0 is male, 1 female).

    `age` 0.33 is a child, 0.67 a young adult, 1 old. `face` holds facial actions, 0..1, such as
    mouthSmileLeft.
    """

    gender: float = 0.0
    age: float = 0.66
    muscle: float = 0.5
    weight: float = 0.5
    height: float = 0.5
    proportions: float = 0.7
    face: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, eq=False)
class Body:
    """Body mesh and bones in the rest pose (arms 45 degrees down).

    `vertices` (V, 3), `quads` (F, 4), `corner_uv` (F, 4, 2), `part` (F,) names such as "hand.R",
    `heads` (B, 3) of the bones, `weights` (V, B).
    """

    vertices: Array
    quads: Array
    corner_uv: Array
    part: Array
    bones: tuple[str, ...]
    parents: tuple[int, ...]
    heads: Array
    weights: Array

    def index(self, bone: str) -> int:
        """Return the row of a bone. Raises `ValueError` for an unknown name."""
        return self.bones.index(bone)

    def head(self, bone: str) -> Array:
        """Return where a bone starts at rest."""
        return self.heads[self.index(bone)]

    def tip(self, bone: str) -> Array:
        """Return the end of a fingertip at rest: the vertex of this bone farthest from its head."""
        own = self.vertices[self.weights[:, self.index(bone)] > 0.9]
        return own[np.linalg.norm(own - self.head(bone), axis=1).argmax()]


@dataclass(frozen=True, eq=False)
class Posed:
    """Posed bones: `turns` (B, 3, 3) are global rotations from rest, `at` (B, 3) their heads."""

    body: Body
    turns: Array
    at: Array

    def point(self, bone: str, rest: Array) -> Array:
        """Return the posed position of a point (or points) fixed to a bone."""
        b = self.body.index(bone)
        return (rest - self.body.heads[b]) @ self.turns[b].T + self.at[b]

    def vertices(self, rest: Array | None = None, weights: Array | None = None) -> Array:
        """Return (V, 3) vertices by linear blend skinning; of the body itself unless others are given."""
        rest = self.body.vertices if rest is None else rest
        weights = self.body.weights if weights is None else weights
        offset = self.at - np.einsum("bij,bj->bi", self.turns, self.body.heads)
        turns = np.einsum("vb,bij->vij", weights, self.turns)
        return np.einsum("vij,vj->vi", turns, rest) + weights @ offset


def place_bones(body: Body, turns: Mapping[str, Array], shift: Array | None = None) -> Posed:
    """Pose bones by global rotations; a bone that is not named follows its parent."""
    rotation = np.zeros((len(body.bones), 3, 3))
    at = np.zeros((len(body.bones), 3))
    for b, (name, parent) in enumerate(zip(body.bones, body.parents, strict=True)):
        if b == 0:
            rotation[b] = turns.get(name, np.eye(3))
            at[b] = body.heads[b] + (0 if shift is None else shift)
        else:
            rotation[b] = turns.get(name, rotation[parent])
            at[b] = at[parent] + rotation[parent] @ (body.heads[b] - body.heads[parent])
    return Posed(body, rotation, at)


def turn(axis: Array, degrees: float) -> Array:
    """Return the (3, 3) rotation about an axis, right-handed (Rodrigues)."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([(0, -z, y), (z, 0, -x), (-y, x, 0)])
    angle = math.radians(degrees)
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def unit(vector: Array) -> Array:
    """Return the vector at length 1."""
    return vector / np.linalg.norm(vector)


def frame(first: Array, second: Array) -> Array:
    """Return (3, 3) with columns: `first`, `second` orthogonalized to it, and their cross product."""
    a = unit(first)
    b = unit(second - a * (second @ a))
    return np.stack([a, b, np.cross(a, b)], axis=1)


@lru_cache(maxsize=1)
def _anny() -> Any:
    """The parametric model; its first use on a machine builds a cache for about a minute."""
    import anny

    return anny.Anny(facial_actions="all", topology="anny-quads")


def make_body(shape: Shape) -> Body:
    """Create a person of this shape, standing on z = 0."""
    from anny.face_segmentation import get_face_segmentation_mask

    model = _anny()
    phenotype = {k: getattr(shape, k) for k in ("gender", "age", "muscle", "weight", "height", "proportions")}
    out = model(phenotype_kwargs=phenotype, facial_actions=dict(shape.face))
    vertices = out["rest_vertices"][0].numpy().astype(float)
    floor = np.array([0, 0, vertices[:, 2].min()])
    weights = np.zeros((len(vertices), len(model.bone_labels)))
    rows = np.arange(len(vertices))[:, None]
    np.add.at(weights, (rows, model.vertex_bone_indices.numpy()), model.vertex_bone_weights.numpy())
    part = np.full(len(model.faces), "body", dtype="<U16")
    for label in ("head", "hand.L", "hand.R", "eye_front.L", "eye_front.R", "eye_back.L", "eye_back.R",
                  "eye_cavity.L", "eye_cavity.R", "mouth_cavity", "foot.L", "foot.R", "tongue"):  # fmt: skip
        part[get_face_segmentation_mask(model, [label]).numpy()] = label
    uv = model.texture_coordinates.numpy()[model.face_texture_coordinate_indices.numpy()]
    return Body(
        vertices=vertices - floor,
        quads=model.faces.numpy(),
        corner_uv=uv.astype(float),
        part=part,
        bones=tuple(model.bone_labels),
        parents=tuple(model.bone_parents),
        heads=out["rest_bone_heads"][0].numpy().astype(float) - floor,
        weights=weights,
    )
