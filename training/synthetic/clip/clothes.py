"""Clothes made from the body's mesh: offset along the normals and smoothed, skinned with the body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.synthetic.clip.body import Array, Body, unit

if TYPE_CHECKING:
    from training.synthetic.clip.body import Posed


@dataclass(frozen=True, eq=False)
class Garment:
    """A garment; `of` are the body's vertices it is made from, `covers` (V,) marks the skin that it hides."""

    name: str
    of: Array
    vertices: Array
    quads: Array
    covers: Array
    weights: Array
    neighbours: Array
    ease: Array

    def drape(self, posed: Posed) -> Array:
        """Return the (N, 3) vertices of the garment in this pose."""
        return _relax(posed.vertices(self.vertices, self.weights), self.neighbours, 2)


def arm_share(body: Body, vertices: Array) -> Array:
    """Return (N,) positions along the arm: 0 at the shoulder joint, 0.5 at the elbow, 1 at the wrist."""
    share = np.full(len(vertices), 9.0)
    for side in ("L", "R"):
        joints = [body.head(f"{b}.{side}") for b in ("upperarm01", "lowerarm01", "wrist")]
        own = np.sign(vertices[:, 0]) == np.sign(joints[0][0])
        nearest = np.full(len(vertices), np.inf)
        for k in (0, 1):
            way = joints[k + 1] - joints[k]
            t = np.clip(((vertices - joints[k]) @ way) / (way @ way), 0, 1 if k == 0 else 1.6)
            away = np.linalg.norm(vertices - joints[k] - t[:, None] * way, axis=1)
            hit = own & (away < nearest)
            share[hit], nearest[hit] = 0.5 * (k + t[hit]), away[hit]
    return share


def _weight_of(body: Body, *prefixes: str) -> Array:
    named = [any(b.startswith(p) for p in prefixes) for b in body.bones]
    return body.weights[:, named].sum(axis=1)


def crew_shirt(body: Body, sleeve: float) -> Garment:
    """Create a sweater or T-shirt: from the neck to the hips, sleeves to `sleeve` of the arm."""
    v = body.vertices
    arm = _weight_of(body, "upperarm", "lowerarm", "wrist", "finger", "metacarpal")
    share = arm_share(body, v)
    neck = body.head("neck01")
    collar = neck[2] + 0.012 + 0.55 * (v[:, 1] - neck[1]) - 0.02  # lower at the throat than at the nape
    beside = np.abs(v[:, 0]) > 0.075
    trunk = (
        (arm < 0.5)
        & ((v[:, 2] < collar) | (beside & (v[:, 2] < neck[2] + 0.03)))
        & (v[:, 2] > body.head("root")[2] - 0.08)
    )
    sleeves = (arm >= 0.5) & (share <= sleeve)
    ease = 0.010 + 0.022 * np.clip((neck[2] - v[:, 2]) / 0.45, 0, 1)
    ease = np.where(arm > 0.5, 0.011, ease)
    loose = np.where((arm < 0.3) & (v[:, 2] < body.head("root")[2] + 0.1), 0.02, 0.0)
    return _cut(body, "shirt", trunk | sleeves, ease, 14, flat=arm < 0.3, least=loose)


def trousers(body: Body) -> Garment:
    """Create trousers from the waist to the ankles."""
    v = body.vertices
    arm = _weight_of(body, "upperarm", "lowerarm", "wrist", "finger", "metacarpal")
    inside = (arm < 0.5) & (v[:, 2] < body.head("root")[2]) & (v[:, 2] > body.head("foot.L")[2])
    return _cut(body, "trousers", inside, np.full(len(v), 0.008), 8)


def _cut(
    body: Body,
    name: str,
    inside: Array,
    ease: Array,
    rounds: int,
    flat: Array | None = None,
    least: Array | None = None,
) -> Garment:
    """Garment mesh.

    `flat` (V,) is smoothed far more, `least` (V,) is the least distance from the skin, metres.
    """
    faces = inside[body.quads].all(axis=1)
    used = np.unique(body.quads[faces])
    renumber = np.full(len(body.vertices), -1)
    renumber[used] = np.arange(len(used))
    quads = renumber[body.quads[faces]]
    neighbours = _neighbours(quads, len(used))
    normals = vertex_normals(body.vertices, body.quads)[used]
    skin = body.vertices[used]
    cloth = _relax(skin + normals * ease[used, None], neighbours, rounds)
    if flat is not None:
        hung = _relax(cloth, neighbours, 160)
        outward = vertex_normals(hung, quads)
        lost = ((cloth - hung) * outward).sum(
            axis=1, keepdims=True
        )  # compensate the shrinking of the smoothing, without its detail
        hung = hung + outward * (_relax(lost, neighbours, 30) + 0.004)
        share = _relax(flat[used].astype(float)[:, None], neighbours, 6)
        cloth = share * hung + (1 - share) * cloth
    border = _border(quads, len(used))
    for _ in range(2):  # keep skin under the rim, so that no gap opens there
        border = border | border[neighbours].any(axis=1)
    if least is not None:
        depth = ((cloth - skin) * normals).sum(axis=1)
        cloth = _relax(cloth + normals * np.maximum(least[used] - depth, 0)[:, None], neighbours, 2)
    depth = ((cloth - skin) * normals).sum(axis=1)  # cloth must not intersect the skin there
    cloth = cloth + normals * (border * np.maximum(0.005 - depth, 0))[:, None]
    covers = np.zeros(len(body.vertices), bool)
    covers[used] = ~border
    weights = _relax(body.weights[used], neighbours, 3)
    return Garment(
        name, used, cloth, quads, covers, weights / weights.sum(axis=1, keepdims=True), neighbours, ease
    )


def vertex_normals(vertices: Array, quads: Array) -> Array:
    """Return the (V, 3) outward normals, weighted by area."""
    a, b, c, d = (vertices[quads[:, k]] for k in range(4))
    face = np.cross(c - a, d - b)
    normals = np.zeros_like(vertices)
    for k in range(4):
        np.add.at(normals, quads[:, k], face)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def _edges(quads: Array) -> Array:
    return np.concatenate([quads[:, [k, (k + 1) % 4]] for k in range(4)])


def _border(quads: Array, count: int) -> Array:
    edges = np.sort(_edges(quads), axis=1)
    unique, times = np.unique(edges, axis=0, return_counts=True)
    border = np.zeros(count, bool)
    border[unique[times == 1].reshape(-1)] = True
    return border


def _neighbours(quads: Array, count: int) -> Array:
    """(N, 6) rows of neighbouring vertices, padded with the vertex itself.

    Rim vertices only have rim neighbours.
    """
    edges = np.sort(_edges(quads), axis=1)
    unique, times = np.unique(edges, axis=0, return_counts=True)
    border = np.zeros(count, bool)
    border[unique[times == 1].reshape(-1)] = True
    lists: list[list[int]] = [[] for _ in range(count)]
    for (a, b), n in zip(unique, times, strict=True):
        if n == 1 or not border[a]:
            lists[a].append(int(b))
        if n == 1 or not border[b]:
            lists[b].append(int(a))
    table = np.repeat(np.arange(count)[:, None], 8, axis=1)
    for i, row in enumerate(lists):
        table[i, : min(8, len(row))] = row[:8]
    return table


def _relax(values: Array, neighbours: Array, rounds: int) -> Array:
    own = np.arange(len(values))[:, None]
    count = np.maximum((neighbours != own).sum(axis=1, keepdims=True), 1)
    pad = (neighbours == own).sum(axis=1, keepdims=True)
    for _ in range(rounds):
        mean = (values[neighbours].sum(axis=1) - pad * values) / count
        values = values + 0.5 * (mean - values)
    return values


__all__ = ["Garment", "arm_share", "crew_shirt", "trousers", "unit", "vertex_normals"]
