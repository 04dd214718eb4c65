"""Labelled photographs of ../shared/data: rows, hands found in them, jittered crops."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from training.gestures.hands.rois import (
    HandNet,
    Palm,
    PalmDetector,
    Roi,
    crop,
    merge,
    roi_from_landmarks,
    roi_from_palm,
    to_picture,
)

LABELS = ("thumbs_up", "fist", "stop", "ok", "two", "random")
THUMBS = {  # only the thumb is extended: its direction decides the label
    ("emrecandir", "up"),
    ("emrecandir", "left"),
    ("emrecandir", "right"),
    ("emrecandir", "down"),
    ("tanishka", "GoodJob"),
    ("tanishka", "Dislike"),
    ("shimaazizi", "ThumbsUp"),
    ("anton", "ThumbsUp"),
    ("anton", "ThumbsDown"),
    ("desk", "thumbs_up"),
    ("render", "thumb"),
    ("live", "thumbs_up"),
}
ANY_WAY_UP = {"shimaazizi", "drgfreeman_rps"}  # photographed from above: the picture's up means nothing
DOUBTFUL = {"subhih/3-hand": 0.7}  # the thumb holds the bent index finger: close to ok


@dataclass(frozen=True)
class Photo:
    """One labelled hand, or one image with one label."""

    row: int
    path: Path
    source: str
    label: str
    original: str
    box: tuple[float, float, float, float] | None
    person: str

    @property
    def key(self) -> str:
        """Source and original label."""
        return f"{self.source}/{self.original}"


def photos(root: Path) -> Iterator[Photo]:
    """Return every row of photos.csv, then the desk sequences as source `desk`."""
    with (root / "photos.csv").open() as file:
        row = -1
        for row, line in enumerate(csv.DictReader(file)):
            numbers = line["box_xyxy"].replace(",", " ").split()
            box = tuple(float(n) for n in numbers) if numbers else None
            yield Photo(
                row,
                root / line["path"],
                line["source"],
                line["label"],
                line["original_label"],
                box,
                line["source"],
            )  # type: ignore[arg-type]
    for path in sorted((root / "sequences" / "desk").glob("*/*.jpg")):
        row += 1
        yield Photo(row, path, "desk", path.parent.name, path.parent.name, None, "desk")


def read(photo: Photo) -> np.ndarray:
    """Read the image as RGB."""
    return cv2.cvtColor(cv2.imread(str(photo.path)), cv2.COLOR_BGR2RGB)


def tiles(width: int, height: int) -> list[tuple[int, int, int]]:
    """Return (x, y, side) of squares to search for small hands, without the whole image."""
    if max(width, height) < 400:
        return []
    out = []
    for share in (0.75, 0.5):
        side = round(min(width, height) * share * (1.3 if share == 0.5 else 1.33))
        side = min(side, height, width)
        for x in np.unique(np.linspace(0, width - side, 2 if share == 0.75 else 3).round()):
            ys = np.unique(np.linspace(0, height - side, 1 if share == 0.75 else 2).round())
            out += [(int(x), int(y), side) for y in ys]
    return out


def palms(image: np.ndarray, detector: PalmDetector, *, deep: bool, min_score: float = 0.4) -> list[Palm]:
    """Detect palms in an image; `deep` also searches squares of it."""
    found = list(detector.find(image, min_score))
    h, w = image.shape[:2]
    if max(h, w) < 400:  # a tight crop: search again with a border around it
        rim = max(h, w) // 3
        padded = cv2.copyMakeBorder(image, rim, rim, rim, rim, cv2.BORDER_REPLICATE)
        found += [_moved(p, -rim, -rim) for p in detector.find(padded, min_score)]
    elif deep:
        for x, y, side in tiles(w, h):
            found += [_moved(p, x, y) for p in detector.find(image[y : y + side, x : x + side], min_score)]
    return merge(found)


def _moved(palm: Palm, x: float, y: float) -> Palm:
    box = palm.box.copy()
    box[:2] += (x, y)
    return Palm(palm.score, box, palm.points + np.array([x, y]))


@dataclass(frozen=True)
class Found:
    """A hand found in a photograph: the detector's box, the box refined twice, and the confidence."""

    first: Roi
    refined: Roi
    presence: float
    points: np.ndarray  # (21, 2) px of the photograph
    by: str  # "palm" or "guess"


def hands(
    image: np.ndarray, box: tuple[float, float, float, float] | None, detector: PalmDetector, net: HandNet
) -> list[Found]:
    """Find all hands by confidence; without a detection, guessed rotations of the box are tried."""
    starts = [(roi_from_palm(p), "palm") for p in palms(image, detector, deep=True)]
    h, w = image.shape[:2]
    out = [f for f in (refine(image, roi, net, by) for roi, by in starts) if f.presence > 0.5]
    if box is not None:
        out = [f for f in out if _inside(f, box)]
    if not out and (box is not None or max(h, w) <= 640):
        x0, y0, x1, y1 = box or (0, 0, w, h)
        side = max(x1 - x0, y1 - y0) * (1.5 if box is not None else 1.15)
        for turn in (0.0, np.pi / 2, -np.pi / 2, np.pi):
            f = refine(image, Roi((x0 + x1) / 2, (y0 + y1) / 2, side, turn), net, "guess")
            if f.presence > 0.5:
                out.append(f)
    return sorted(out, key=lambda f: -f.presence)


def refine(image: np.ndarray, roi: Roi, net: HandNet, by: str, steps: int = 2) -> Found:
    """Refine a box twice by the landmarks inside it, as tracking does."""
    first, presence, points = roi, 0.0, np.zeros((21, 2))
    for _ in range(steps):
        seen = net.run(crop(image, roi, 224)[None])
        presence = float(seen.presence[0])
        points = to_picture(seen.landmarks[0], roi)
        if presence < 0.3:
            break
        roi = roi_from_landmarks(points)
    return Found(first, roi, presence, points, by)


def _inside(found: Found, box: tuple[float, float, float, float]) -> bool:
    x, y = found.points.mean(0)
    x0, y0, x1, y1 = box
    mx, my = 0.15 * (x1 - x0), 0.15 * (y1 - y0)
    span = float(np.ptp(found.points, axis=0).max())
    return bool(x0 - mx < x < x1 + mx and y0 - my < y < y1 + my and span < 2.2 * max(x1 - x0, y1 - y0))


def worn(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Augment with the variations of a camera: light, colour, blur, noise, resolution, JPEG.

    Uint8 in and out.
    """
    out = image.astype(np.float32)
    size = image.shape[0]
    if rng.random() < 0.5:  # far away: few pixels
        few = max(22, int(size * rng.uniform(0.12, 0.7)))
        out = cv2.resize(
            cv2.resize(out, (few, few), interpolation=cv2.INTER_AREA),
            (size, size),
            interpolation=int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC])),
        )
    if rng.random() < 0.2:  # motion blur
        k = int(rng.integers(3, max(4, size // 14)))
        kernel = np.zeros((k, k), np.float32)
        kernel[k // 2] = 1 / k
        turn = cv2.getRotationMatrix2D((k / 2 - 0.5, k / 2 - 0.5), rng.uniform(0, 180), 1)
        kernel = cv2.warpAffine(kernel, turn, (k, k))
        out = cv2.filter2D(out, -1, kernel / max(float(kernel.sum()), 1e-6))
    if rng.random() < 0.15:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.5, size / 90))
    out = 255 * np.power(np.clip(out / 255, 0, 1), np.exp(rng.normal(0, 0.3)))
    out = (out - 128) * rng.uniform(0.6, 1.3) + 128 + rng.normal(0, 18)
    look = rng.random()
    if look < 0.15:
        grey = out @ rng.dirichlet((2, 2, 2)).astype(np.float32)
        out = np.repeat(grey[..., None], 3, 2)
    else:
        out = out * np.exp(rng.normal(0, 0.09, 3)).astype(np.float32)
        mean = out.mean(2, keepdims=True)
        out = mean + (out - mean) * rng.uniform(0.5, 1.3)
    if rng.random() < 0.5:
        out = out + rng.normal(0, rng.uniform(1, 12), out.shape)
    out = np.clip(out, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        _, data = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 85))])
        out = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return out


def jittered(roi: Roi, rng: np.random.Generator) -> Roi:
    """Return a box as the detector might have given."""
    turn = rng.normal(0, 0.2) if rng.random() < 0.85 else rng.uniform(-1.2, 1.2)
    return Roi(
        roi.cx + roi.side * rng.normal(0, 0.035),
        roi.cy + roi.side * rng.normal(0, 0.035),
        roi.side * float(np.exp(rng.normal(0, 0.11))),
        roi.angle + float(turn),
    )
