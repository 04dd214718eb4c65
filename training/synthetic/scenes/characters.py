"""Makes the people and rooms for scenes: meshes with clothes and hair (anny), images of rooms (Cycles).

Run once, in training/synthetic/clip's environment; the renderer needs only its output.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.synthetic.clip.body import Body, Shape, make_body
from training.synthetic.clip.clothes import arm_share, crew_shirt, trousers, vertex_normals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from training.synthetic.clip.body import Array

MATERIALS = ("skin", "shirt", "trousers", "hair", "eye", "shoe")
MASKS = ("palm", "red", "lips", "dark", "scalp", "crease", "iris")
UNSEEN = ("eye_cavity.L", "eye_cavity.R", "mouth_cavity", "tongue", "eye_back.L", "eye_back.R")
SAMPLES = 24  # size of the room images


def options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.synthetic.scenes.characters", description=__doc__
    )
    parser.add_argument("--out", type=Path, default=Path(".cache/idle"), help="folder (default: %(default)s)")
    parser.add_argument("--people", type=int, default=24, help="bodies in all (default: %(default)s)")
    parser.add_argument("--rooms", type=int, default=16, help="rooms in all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Make everything that does not exist yet."""
    from tqdm import tqdm

    o = options()
    o.out.mkdir(parents=True, exist_ok=True)
    for number in tqdm(range(o.people), unit="person"):
        target = o.out / f"person-{number:02d}.npz"
        if not target.exists():
            _save(target, person(np.random.default_rng((o.seed, number))))
    for number in tqdm(range(o.rooms), unit="room"):
        target = o.out / f"room-{number:02d}.png"
        if not target.with_suffix(".json").exists():
            photograph(np.random.default_rng((o.seed, 77, number)), target)


def _save(target: Path, pack: dict[str, Array]) -> None:
    half = target.with_suffix(".part.npz")
    np.savez_compressed(half, **pack)  # type: ignore[arg-type]
    half.replace(target)


def person(rng: np.random.Generator) -> dict[str, Array]:
    """Build one triangle mesh: body, garments, hair; skin under cloth is left out."""
    from training.synthetic.clip.paint import masks

    female = bool(rng.random() < 0.5)
    smile = float(rng.uniform(0, 0.6))
    body = make_body(
        Shape(
            gender=float(rng.uniform(0.85, 1) if female else rng.uniform(0, 0.15)),
            age=float(rng.uniform(0.5, 1.0)),
            muscle=float(rng.uniform(0.3, 0.7)),
            weight=float(rng.uniform(0.3, 0.8)),
            height=float(rng.uniform(0.3, 0.7)),
            proportions=float(rng.uniform(0.4, 0.9)),
            face=(("mouthSmileLeft", smile), ("mouthSmileRight", smile)),
        )
    )
    sleeve = float(rng.choice([0.3, 0.36, 0.72, 0.92, 0.94]))
    garments = {"shirt": crew_shirt(body, sleeve), "trousers": trousers(body)}
    hidden = np.zeros(len(body.vertices), bool)
    for garment in garments.values():
        hidden |= garment.covers
    seen = ~hidden[body.quads].all(axis=1) & ~np.isin(body.part, UNSEEN)
    kind = np.zeros(len(body.vertices), np.int8)
    for part, material in (("eye_front", "eye"), ("foot", "shoe")):
        own = np.char.startswith(body.part, part)
        kind[np.unique(body.quads[own])] = MATERIALS.index(material)
    painted = masks(body)
    parts = [
        (body.vertices, body.quads[seen], body.weights, kind, np.stack([painted[m] for m in MASKS], axis=1))
    ]
    for name, garment in garments.items():
        n = len(garment.vertices)
        parts.append(
            (
                garment.vertices,
                garment.quads,
                garment.weights,
                np.full(n, MATERIALS.index(name)),
                np.zeros((n, 7)),
            )
        )
    parts.append(_hair(body, painted["scalp"], rng, female=female))
    pack = _joined(parts)
    sides = [[body.tip(f"finger{k}-3.{s}") for k in (1, 2, 3, 4, 5)] for s in ("R", "L")]
    return {
        **pack,
        "bones": np.array(body.bones),
        "parents": np.array(body.parents),
        "heads": body.heads,
        "tips": np.array(sides),
        "sleeve": np.array(sleeve),
        "belly": body.vertices[_torso(body), 1].min(),
    }


def _torso(body: Body) -> Array:
    """(V,) mask between the hips and the ribs."""
    low, high = body.head("root")[2] + 0.05, body.head("spine02")[2]
    v = body.vertices
    return (v[:, 2] > low) & (v[:, 2] < high) & (np.abs(v[:, 0]) < 0.2) & (arm_share(body, v) > 1)


def _hair(
    body: Body, scalp: Array, rng: np.random.Generator, *, female: bool
) -> tuple[Array, Array, Array, Array, Array]:
    """The scalp pushed outwards; long hair hangs down from the sides and the nape."""
    quads = body.quads[(scalp[body.quads] > 0.3).all(axis=1)]
    used, quads = np.unique(quads, return_inverse=True)
    quads = quads.reshape(-1, 4)
    v, normals = body.vertices[used], vertex_normals(body.vertices, body.quads)[used]
    eye = (body.head("eye.L") + body.head("eye.R")) / 2
    thick = rng.uniform(0.004, 0.02)
    wave = np.sin(v @ rng.normal(0, 60, (3, 3))).mean(axis=1)
    rim = np.clip(scalp[used] * 2 - 1, 0, 1)
    out = v + normals * (thick * (0.55 + 0.45 * rim + 0.35 * wave))[:, None]
    if female and rng.random() < 0.8:
        low = np.clip((eye[2] + 0.05 - v[:, 2]) / 0.09, 0, 1)  # 0 at the crown, 1 at the ears and the nape
        back = np.clip((v[:, 1] - eye[1] - 0.03) / 0.06, 0, 1)
        drop = rng.uniform(0.03, 0.24) * low**1.5 * back * (1 + 0.15 * wave)
        out = out - np.stack([np.zeros(len(v)), -0.15 * drop, drop], axis=1)
        out = out + normals * (0.012 * low * back)[:, None]
    head = np.zeros((len(used), len(body.bones)))
    head[:, body.index("head")] = 1
    return out, quads, head, np.full(len(used), MATERIALS.index("hair")), np.zeros((len(used), 7))


def _joined(parts: Iterable[tuple[Array, Array, Array, Array, Array]]) -> dict[str, Array]:
    """All parts as one mesh, without unused vertices."""
    columns: dict[str, list[Array]] = {k: [] for k in ("vertices", "normals", "weights", "kind", "masks")}
    faces, start = [], 0
    for vertices, corners, weights, kind, masks in parts:
        used, inverse = np.unique(corners, return_inverse=True)
        quads = inverse.reshape(-1, 4)
        normals = vertex_normals(vertices[used], quads)
        faces.append(np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]) + start)
        start += len(used)
        for name, values in zip(
            columns, (vertices[used], normals, weights[used], kind[used], masks[used]), strict=True
        ):
            columns[name].append(values)
    small = {"weights": np.float16, "kind": np.int8, "masks": np.float16}
    pack = {k: np.concatenate(v).astype(small.get(k, np.float32)) for k, v in columns.items()}
    return {**pack, "triangles": np.concatenate(faces).astype(np.int32)}


def photograph(rng: np.random.Generator, target: Path) -> None:
    """Render a furnished room as a webcam sees it, and write the camera's position (JSON beside it)."""
    from training.synthetic.clip import room, scene

    away = float(rng.uniform(1.0, 3.0))
    at = np.array([rng.uniform(-0.2, 0.2) * away, -away, rng.uniform(1.0, 1.6)])
    looks_at = np.array([rng.uniform(-0.12, 0.12), 0.0, rng.uniform(1.08, 1.28)])
    degrees = float(rng.uniform(54, 68))
    light = float(rng.uniform(0.45, 1.1))
    scene.fresh_scene(640, 480, SAMPLES)
    room.furnish(int(rng.integers(10_000)), back_y=2.3, light=light)
    scene.Webcam(at, looks_at, degrees).place()
    scene.render_to(target)
    facts = {"at": at.tolist(), "looks_at": looks_at.tolist(), "degrees": degrees, "light": light}
    target.with_suffix(".json").write_text(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main()
