"""Upright images of hands for GestureNet: photographs and renders in one array.

Every image has a hand in the middle with 1.6 times the margin of a hand box, so that rotation, shift and
scale augmentation stay inside the image.
"""

from __future__ import annotations

import pickle
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from training.gestures.hands.cutout import cut_out, into
from training.gestures.hands.features import chosen
from training.gestures.hands.photos import ANY_WAY_UP, DOUBTFUL, LABELS, THUMBS, photos, read, worn
from training.gestures.hands.rois import Roi, crop, roi_from_landmarks
from training.gestures.hands.rooms import made_up

STORED = 176  # px of a stored image
ROOM = 1.6  # side of a stored image / side of the hand box
RANDOM, THUMB = LABELS.index("random"), LABELS.index("thumbs_up")
GREEN = {"drgfreeman_rps", "tanishka"}
SHARES = {"render": 0.3, "live": 0.25, "photographs": 0.45}  # of the images of every class
NEGATIVES = "negatives"  # source of all hands that hold something in photographs and films
NEGATIVES_SHARE = 0.25  # of the images of `random`
MOVED = 0.75  # share of the photographed hands that get another background


@dataclass
class Pictures:
    """All images with their labels and metadata."""

    images: np.ndarray  # (N, STORED, STORED, 3) uint8 RGB
    label: np.ndarray  # -1: only its rotated versions can be labelled
    thumb: np.ndarray  # nan, or the direction of the thumb of a thumb-only hand, radians clockwise from up
    free: np.ndarray  # bool: the orientation of the image is arbitrary
    lean: np.ndarray  # direction of the fingers, radians clockwise from up
    group: np.ndarray
    source: np.ndarray
    mask: np.ndarray  # bool: green screen, to be keyed
    points: np.ndarray  # (N, 21, 2) landmarks, px of the stored image; nan where there is no hand
    cut: np.ndarray  # row of `cutouts`, -1: none
    cutouts: np.ndarray  # (M, STORED, STORED) uint8 opacity of hands before photographed walls


def _pointing(a: np.ndarray, b: np.ndarray) -> float:
    d = b - a
    return float(np.arctan2(d[0], -d[1]))


def squared(image: np.ndarray, roi: Roi, points: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the upright square stored for a hand, and its landmarks in it; nan: unknown."""
    square = crop(image, Roi(roi.cx, roi.cy, roi.side * ROOM, 0.0), STORED, cv2.BORDER_REPLICATE)
    return square, np.full((21, 2), np.nan) if points is None else stored_points(points, roi)


def stored_points(points: np.ndarray, roi: Roi) -> np.ndarray:
    """Transform landmarks (21, 2) from image pixels to pixels of the stored, upright square."""
    return (points[:, :2] - (roi.cx, roi.cy)) * (STORED / (roi.side * ROOM)) + STORED / 2


def pack(data: Path, work: Path, target: Path, renders: int) -> None:
    """Store crops of all photographs and renders: `target`, its `.images.npy` and `.cutouts.npy`."""
    found: dict[str, dict] = {}
    rows: list[tuple] = []

    def keep(
        square: np.ndarray,
        points: np.ndarray,
        label: int,
        thumb: bool,
        free: bool,
        lean: float,
        group: str,
        source: str,
    ) -> None:
        tilt = _pointing(points[2], points[4]) if thumb else np.nan
        rows.append((square, label, tilt, free, lean, group, source, source in GREEN, points))

    def add(
        image: np.ndarray,
        roi: Roi,
        points: np.ndarray | None,
        label: int,
        thumb: bool,
        free: bool,
        group: str,
        source: str,
    ) -> None:
        keep(*squared(image, roi, points), label, thumb, free, roi.angle, group, source)

    for photo in tqdm(list(photos(data)), desc="photographs"):
        if photo.source not in found:
            found[photo.source] = pickle.loads((work / f"found-{photo.source}.pkl").read_bytes())
        hand, others = chosen(photo, found[photo.source][photo.row])
        image = read(photo)
        label = LABELS.index(photo.label) if photo.label in LABELS else -1
        thumb = (photo.source, photo.original) in THUMBS
        if hand is not None and (label >= 0 or thumb):
            add(
                image,
                hand.refined,
                hand.points,
                label,
                thumb,
                photo.source in ANY_WAY_UP,
                f"{photo.source}/{photo.original}",
                photo.source,
            )
        for other in others:
            add(
                image, other.refined, other.points, RANDOM, False, False, f"{photo.source}/idle", photo.source
            )
        if photo.row % 6 == 0 and max(image.shape[:2]) > 300:  # no hand at all
            rng = np.random.default_rng(photo.row)
            h, w = image.shape[:2]
            side = float(rng.uniform(40, 180))
            x, y = rng.uniform(0.2, 0.8) * w, rng.uniform(0.1, 0.9) * h
            hands = [hand, *others]
            if all(o is None or np.hypot(o.refined.cx - x, o.refined.cy - y) > o.refined.side for o in hands):
                add(
                    image,
                    Roi(x, y, side, 0.0),
                    None,
                    RANDOM,
                    False,
                    False,
                    "nothing",
                    photo.source,
                )
    made = sorted((work / "render").glob("render-*.pkl"))[:renders]
    for shard in tqdm([*made, *sorted((work / "render").glob("held-*.pkl"))], desc="renders"):
        for row in pickle.loads(shard.read_bytes()):
            image = cv2.imdecode(np.frombuffer(row["jpeg"], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
            thumb = row["label"] == "thumb"
            label = -1 if thumb else LABELS.index(row["label"])
            add(
                image,
                roi_from_landmarks(row["points"]),
                row["points"],
                label,
                thumb,
                False,
                f"render/{row['kind']}",
                "render",
            )
    stored = [("live", path) for path in sorted((work / "live").glob("*.pkl"))]
    stored += [(NEGATIVES, path) for path in [work / "negatives.pkl"] if path.exists()]
    for source, path in tqdm(stored, desc="lives and negatives"):
        for row in pickle.loads(path.read_bytes()):
            if row["label"] in LABELS:
                square = cv2.imdecode(np.frombuffer(row["jpeg"], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
                label, group = LABELS.index(row["label"]), f"{source}/{row['original']}"
                keep(square, row["points"], label, label == THUMB, False, row["lean"], group, source)
    columns = list(zip(*rows, strict=True))
    images, points = np.stack(columns[0]), np.array(columns[8], np.float32)
    group, source, mask = (np.array(columns[k]) for k in (5, 6, 7))
    worth = (
        ~np.isin(source, ("render", "live", NEGATIVES))
        & ~mask
        & ~np.isnan(points[:, 0, 0])
        & ~np.char.endswith(group, "/idle")
    )
    cut = np.where(worth, np.cumsum(worth) - 1, -1)
    np.save(target.with_suffix(".images.npy"), images)
    np.save(
        target.with_suffix(".cutouts.npy"),
        np.stack([cut_out(images[i], points[i]) for i in tqdm(np.nonzero(worth)[0], desc="cutouts")]),
    )
    np.savez(
        target,
        label=np.array(columns[1]),
        thumb=np.array(columns[2], float),
        free=np.array(columns[3]),
        lean=np.array(columns[4]),
        group=group,
        source=source,
        mask=mask,
        points=points,
        cut=cut,
    )


def load(target: Path) -> Pictures:
    """Load the files written by `pack`."""
    z = np.load(target)
    return Pictures(
        np.load(target.with_suffix(".images.npy"), mmap_mode="r"),
        *(z[field.name] for field in fields(Pictures)[1:-1]),
        np.load(target.with_suffix(".cutouts.npy"), mmap_mode="r"),
    )


def chances(p: Pictures, without: tuple[str, ...] = (), random: float = 0.3) -> np.ndarray:
    """Return sampling weights: `random` for that class, the others equal; groups by the root of their size.

    `without` names sources, or groups as in "negatives/coco_ccby", that are left out.
    """
    weight = np.zeros(len(p.label))
    for g in np.unique(p.group):
        mask = p.group == g
        weight[mask] = DOUBTFUL.get(str(g), 1.0) * mask.sum() ** -0.5
    kind = np.where(np.isnan(p.thumb), p.label, 0)
    kinds = {of: p.source == of for of in ("render", "live", NEGATIVES)}
    kinds["photographs"] = ~kinds["render"] & ~kinds["live"] & ~kinds[NEGATIVES]
    weight[np.isin(p.source, without) | np.isin(p.group, without)] = 0
    for k in range(6):
        for of, share in {**SHARES, NEGATIVES: NEGATIVES_SHARE}.items():
            mask = kinds[of] & (kind == k)
            if weight[mask].sum() > 0:
                weight[mask] *= (random if k == RANDOM else (1 - random) / 5) * share / weight[mask].sum()
    return weight / weight.sum()


def key_green(image: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Replace a green screen by another background; an image without enough green is returned unchanged."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    green = ((hsv[..., 0] > 38) & (hsv[..., 0] < 95) & (hsv[..., 1] > 40)).astype(np.float32)
    if green.mean() < 0.25:
        return image
    alpha = cv2.GaussianBlur(cv2.erode(1 - green, np.ones((2, 2))), (0, 0), 0.9)[..., None]
    skin = image.astype(np.float32)
    skin[..., 1] = np.minimum(
        skin[..., 1], (skin[..., 0] + skin[..., 2]) * 0.55 + 8
    )  # remove the green fringe
    return np.clip(skin * alpha + room * (1 - alpha), 0, 255).astype(np.uint8)


def draw(
    p: Pictures, i: int, size: int, rng: np.random.Generator, rooms: list[np.ndarray]
) -> tuple[np.ndarray, int, np.ndarray]:
    """Draw an augmented image, its label, and its landmarks (21, 2) from -1 to 1 across the image."""
    image = p.images[i]
    if (p.mask[i] or p.cut[i] >= 0) and rng.random() < MOVED:
        room = cv2.resize(rooms[rng.integers(len(rooms))], (STORED, STORED))
        if rng.random() < 0.5:
            room = np.ascontiguousarray(room[:, ::-1])
        light = np.exp(rng.normal(0, 0.2) + rng.normal(0, 0.05, 3))  # rooms have other lighting
        lit = np.clip(image * light, 0, 255)
        image = key_green(image, room) if p.mask[i] else into(room, lit, p.cutouts[p.cut[i]])
    label, tilt = int(p.label[i]), float(p.thumb[i])
    spin = rng.normal(0, 0.25)
    if p.free[i]:
        spin = -p.lean[i] + (rng.normal(0, 0.5) if rng.random() < 0.7 else rng.uniform(-1.6, 1.6))
    if not np.isnan(tilt):
        original = label >= 0 and not p.free[i]
        if not original or rng.random() < 0.6:
            spin = rng.uniform(-np.pi, np.pi)
            if rng.random() < 0.5:
                spin = -tilt + rng.normal(0, 0.35)
            up = np.cos(tilt + spin)
            if abs(np.arccos(up)) < np.radians(48):
                label = 0
            elif np.arccos(up) > np.radians(68):
                label = RANDOM
            else:  # neither: rotate it fully up
                spin, label = -tilt + rng.normal(0, 0.2), 0
    scale = size / STORED * ROOM / float(np.exp(rng.normal(-0.08, 0.2)))
    c, s = np.cos(spin) * scale, np.sin(spin) * scale
    flip = rng.random() < 0.5
    m = np.array([[c, -s, 0], [s, c, 0]])
    if flip:
        m[0] *= -1
    shift = rng.normal(0, 0.05, 2) * size
    m[:, 2] = size / 2 + shift - m[:, :2] @ np.array([STORED / 2, STORED / 2])
    border = [cv2.BORDER_REPLICATE, cv2.BORDER_CONSTANT, cv2.BORDER_REFLECT][
        int(rng.choice(3, p=[0.4, 0.4, 0.2]))
    ]
    out = cv2.warpAffine(
        image, m, (size, size), flags=cv2.INTER_AREA if scale < 0.6 else cv2.INTER_LINEAR, borderMode=border
    )
    if rng.random() < 0.85:
        out = worn(out, rng)
    if rng.random() < 0.25:  # an occlusion, or the edge of the frame
        a, b = np.sort(rng.integers(0, size, 2)), np.sort(rng.integers(0, size, 2))
        if (a[1] - a[0]) * (b[1] - b[0]) < 0.12 * size * size:
            out[a[0] : a[1], b[0] : b[1]] = rng.uniform(0, 255, 3)
    points = p.points[i] @ m[:, :2].T + m[:, 2]
    return out, label, (points / size * 2 - 1).astype(np.float32)


def batches(
    p: Pictures,
    size: int,
    batch: int,
    steps: int,
    seed: int,
    rooms: list[np.ndarray],
    without: tuple[str, ...] = (),
    workers: int = 1,
    start: int = 0,
    random: float = 0.3,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield batches of images, labels and landmarks as from `draw`, and their rows; `steps` batches.

    Threads prepare them ahead; batch `n` depends on the seed and n alone.
    """
    chance = np.cumsum(chances(p, without, random))
    rooms = rooms + [
        cv2.resize(made_up(np.random.default_rng([seed, i])), (STORED, STORED)) for i in range(60)
    ]
    done: dict[int, queue.Queue] = {n: queue.Queue(3) for n in range(workers)}

    def work(worker: int) -> None:
        for step in range(start, steps):
            if step % workers != worker:
                continue
            rng = np.random.default_rng([seed, step])
            picks = np.searchsorted(chance, rng.random(batch)).clip(0, len(chance) - 1)
            made = [draw(p, int(i), size, rng, rooms) for i in picks]
            images, labels, points = zip(*made, strict=True)
            done[worker].put((np.stack(images), np.array(labels), np.stack(points), picks))

    for worker in range(workers):
        threading.Thread(target=work, args=(worker,), daemon=True).start()
    for step in range(start, steps):
        yield done[step % workers].get()
