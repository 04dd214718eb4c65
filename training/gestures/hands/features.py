"""Features of photographs: output of the landmark network for jittered crops of every hand.

Writes one `.npz` per source; existing ones are skipped.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from training.gestures.hands.photos import Found, Photo, hands, jittered, photos, read, worn
from training.gestures.hands.rois import HandNet, PalmDetector, crop, roi_from_landmarks
from training.gestures.hands.table import LandmarkNet, Table

COPIES = {
    "ardamavi": 5,
    "emrecandir": 8,
    "subhih": 12,
    "tanishka": 10,
    "shimaazizi": 20,
    "drgfreeman_rps": 8,
    "anton": 20,
    "desk": 5,
}


JUDGED = 2  # copies 0 and 1, the refined box and the detected one, judge


def find_all(data: Path, models: Path, out: Path) -> None:
    """Find the hands of every photograph, pickled per source as {row: [Found, ...]}."""
    detector, net = PalmDetector(models / "palm-detector.onnx"), HandNet(models / "hand-landmark.onnx")
    for source, group in by_source(data).items():
        target = out / f"found-{source}.pkl"
        if target.exists():
            continue
        result = {}
        for photo in tqdm(group, desc=f"hands of {source}"):
            result[photo.row] = hands(read(photo), photo.box, detector, net)
        target.write_bytes(pickle.dumps(result))


def extract(
    data: Path, net: LandmarkNet, found: Path, out: Path, seed: int = 0, *, jittered: bool = True
) -> None:
    """Compute the features of every source that has none yet in `out`; `found` is where `find_all` wrote.

    Without `jittered` crops only those that judge are made.
    """
    for source, group in by_source(data).items():
        target = out / f"features-{source}.npz"
        if target.exists():
            continue
        hands_of = pickle.loads((found / f"found-{source}.pkl").read_bytes())
        table = Table(net)
        for photo in tqdm(group, desc=f"features of {source}"):
            for picture, known in looks(photo, hands_of[photo.row], seed):
                if jittered or known["copy"] < JUDGED:
                    table.add(picture, **known)
        table.save(target)


def by_source(data: Path) -> dict[str, list[Photo]]:
    """Return all photographs by source."""
    groups: dict[str, list[Photo]] = {}
    for photo in photos(data):
        groups.setdefault(photo.source, []).append(photo)
    return groups


def chosen(photo: Photo, found: list[Found]) -> tuple[Found | None, list[Found]]:
    """Return the labelled hand, and the other hands of a photograph."""
    if not found:
        return None, []
    if photo.source == "emrecandir":  # the raised hand; the other hangs or holds the remote control
        sure = [f for f in found if f.presence > 0.8] or found[:1]
        best = min(sure, key=lambda f: f.points[:, 1].mean())
        low = best.points[:, 1].max()
        return best, [
            f for f in sure if f.points[:, 1].min() > low
        ]  # wholly below: no second detection of the same hand
    return found[0], []


def looks(photo: Photo, found: list[Found], seed: int) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """Yield crops of the hands of a photograph, with their metadata."""
    hand, others = chosen(photo, found)
    copies = COPIES[photo.source]
    rng, image = np.random.default_rng([seed, photo.row]), read(photo)
    for label, original, one, count in [
        (photo.label, photo.original, hand, copies),
        *(("idle", "idle", other, max(1, copies // 4)) for other in others),
    ]:
        for copy in range(count if one else 0):
            picture, angle = look(image, one, copy, rng)
            known = {"angle": angle, "row": photo.row, "copy": copy, "label": label, "original": original}
            yield picture, known


def look(image: np.ndarray, hand: Found, copy: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Return a crop of a hand and its rotation: 0 by its joints, 1 as detected, then jittered."""
    as_detected = copy == 1 or (copy > 1 and rng.random() < 0.4)
    roi = hand.first if as_detected else roi_from_landmarks(hand.points)
    if copy > 1:
        roi = jittered(roi, rng)
    border = cv2.BORDER_REPLICATE if rng.random() < 0.5 else cv2.BORDER_CONSTANT
    picture, angle = crop(image, roi, 224, border), roi.angle
    if copy > 1 and rng.random() < 0.5:
        picture, angle = np.ascontiguousarray(picture[:, ::-1]), -angle
    return (worn(picture, rng) if copy > 1 else picture), angle
