"""Hair as curves: rooted on the scalp, combed down at the sides and to one side on top."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy
import numpy as np

from training.synthetic.clip.body import Array, Body, unit
from training.synthetic.clip.clothes import vertex_normals
from training.synthetic.clip.materials import Nodes, rgba

if TYPE_CHECKING:
    from training.synthetic.clip.colours import Look

POINTS = 6  # points of one hair


def scalp(body: Body) -> Array:
    """Return (V,) 0..1 where hair grows; the hairline falls from the forehead to the ears and the nape."""
    eye = (body.head("eye.L") + body.head("eye.R")) / 2
    head = body.weights[:, [body.index("head"), body.index("neck03"), body.index("neck02")]].sum(axis=1) > 0.5
    back = body.vertices[:, 1] - eye[1]
    size = (body.vertices[:, 2].max() - eye[2]) / 0.12  # heads of children are smaller
    line = (
        np.interp(
            back / size, [-0.03, 0.01, 0.05, 0.075, 0.105, 0.16], [0.082, 0.072, 0.055, 0.025, -0.01, -0.085]
        )
        * size
    )
    side = np.abs(body.vertices[:, 0])
    line = line - 0.012 * np.clip(side / 0.06, 0, 1) * (back < 0.04)
    above = (body.vertices[:, 2] - eye[2] - line) / 0.008
    ears = _ears(body)
    return np.clip(above, 0, 1) * head * ~ears


def _ears(body: Body) -> Array:
    """(V,) True on the ears, by their position in the texture."""
    ears = np.zeros(len(body.vertices), bool)
    for centre in ((0.846, 0.624), (0.846, 0.342)):
        near = np.linalg.norm(body.corner_uv - np.array(centre), axis=2) < 0.024
        ears[np.unique(body.quads[near & (body.part == "head")[:, None]])] = True
    return ears


def grow(body: Body, count: int, length_m: float, seed: int) -> Array:
    """Return (count, POINTS, 3) hairs at rest."""
    rng = np.random.default_rng(seed)
    grows = scalp(body)
    normals = vertex_normals(body.vertices, body.quads)
    quads = body.quads[(grows[body.quads] > 0.4).all(axis=1)]
    corners = body.vertices[quads]
    area = np.linalg.norm(np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]), axis=1)
    chosen = rng.choice(len(quads), count, p=area / area.sum())
    u, v = rng.random((2, count, 1))
    share = np.stack([(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v], axis=1)
    root = (corners[chosen] * share).sum(axis=1)
    normal = (normals[quads[chosen]] * share).sum(axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    crown = body.head("head") + np.array([0.0, 0.02, 0.0])
    top = np.clip((root[:, 2] - crown[2] - 0.06) / 0.06, 0, 1)[:, None]
    front = unit(np.array([-0.75, -0.55, 0.0]))
    comb = top * front + (1 - top) * np.array([0.0, 0.25, -1.0])
    comb = comb - normal * (comb * normal).sum(axis=1, keepdims=True)
    comb /= np.maximum(np.linalg.norm(comb, axis=1, keepdims=True), 1e-6)
    lock = np.sin(root @ rng.normal(0, 90, (3, 3)))  # neighbours lean the same way: locks
    comb = comb + 0.3 * lock + 0.08 * rng.normal(size=root.shape)
    eye_z = body.head("eye.L")[2]
    long = (
        length_m
        * (0.3 + 0.7 * np.clip((root[:, 2] - eye_z + 0.01) / 0.07, 0, 1))
        * rng.uniform(0.75, 1.1, count)
    )
    t = np.linspace(0, 1, POINTS)[None, :, None]
    rise = (0.16 + 0.2 * top)[:, None]
    lift = normal[:, None] * (rise * (1 - (1 - t) ** 2) + 0.03 * t)
    lay = comb[:, None] * (0.9 * t**1.3)
    return root[:, None] + long[:, None, None] * (lift + lay)


def add_hair(body: Body, look: Look) -> list[Any]:
    """Create the hair objects, which follow the head's matrix."""
    hairs = grow(body, 9000, look.hair_length_m, look.seed)
    data = bpy.data.hair_curves.new("hair")
    data.add_curves([POINTS] * len(hairs))
    data.attributes["position"].data.foreach_set("vector", hairs.reshape(-1).astype(np.float32))
    radius = data.attributes.get("radius") or data.attributes.new("radius", "FLOAT", "POINT")
    width = np.tile(np.linspace(0.0007, 0.0002, POINTS), len(hairs))
    radius.data.foreach_set("value", width.astype(np.float32))
    item = bpy.data.objects.new("hair", data)
    data.materials.append(_hair_material(look))
    bpy.context.scene.collection.objects.link(item)
    return [item]


def _hair_material(look: Look) -> Any:
    n = Nodes("hair")
    info = n.tree.nodes.new("ShaderNodeHairInfo")
    lighter = tuple(min(1.0, 2.2 * c) for c in look.hair)
    colour = n.mix(info.outputs["Random"], rgba(look.hair), rgba(lighter))  # type: ignore[arg-type]
    return n.done(
        n.add("ShaderNodeBsdfPrincipled", Base_Color=colour, Roughness=0.55, Specular_IOR_Level=0.3)
    )
