"""Photographs to features: what the landmark net says about jittered crops of every hand.

    python -m engines.training features --data DIR --models DIR --out DIR

Writes one `.npz` per source; sources that are there already are skipped.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from engines.training.hands.photos import Found, Photo, hands, jittered, photos, read, worn
from engines.training.hands.rois import HandNet, PalmDetector, crop, roi_from_landmarks

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
BATCH = 16


def find_all(data: Path, models: Path, out: Path, sources: list[str] | None = None) -> None:
    """Hands of every photograph, pickled per source as {row: [Found, ...]}."""
    detector, net = PalmDetector(models / "palm-detector.onnx"), HandNet(models / "hand-landmark.onnx")
    groups: dict[str, list[Photo]] = {}
    for photo in photos(data):
        groups.setdefault(photo.source, []).append(photo)
    for source, group in groups.items():
        target = out / f"found-{source}.pkl"
        if target.exists() or (sources and source not in sources):
            continue
        result = {}
        for photo in tqdm(group, desc=f"hands of {source}"):
            result[photo.row] = hands(read(photo), photo.box, detector, net)
        target.write_bytes(pickle.dumps(result))


def chosen(photo: Photo, found: list[Found]) -> tuple[Found | None, list[Found]]:
    """The hand that the label speaks of, and the hands that it does not."""
    if not found:
        return None, []
    if photo.source == "emrecandir":  # the raised hand; the other hangs or carries the remote
        sure = [f for f in found if f.presence > 0.8] or found[:1]
        best = min(sure, key=lambda f: f.points[:, 1].mean())
        low = best.points[:, 1].max()
        return best, [
            f for f in sure if f.points[:, 1].min() > low
        ]  # wholly below: no second sight of the same
    return found[0], []


def extract(data: Path, models: Path, out: Path, sources: list[str] | None = None, seed: int = 0) -> None:
    """Features of every source that has none yet."""
    net = HandNet(models / "hand-landmark.onnx")
    groups: dict[str, list[Photo]] = {}
    for photo in photos(data):
        groups.setdefault(photo.source, []).append(photo)
    for source, group in groups.items():
        target = out / f"features-{source}.npz"
        if target.exists() or (sources and source not in sources):
            continue
        found = pickle.loads((out / f"found-{source}.pkl").read_bytes())
        columns: dict[str, list] = {
            k: []
            for k in (
                "landmarks",
                "world",
                "presence",
                "handedness",
                "embedding",
                "angle",
                "flip",
                "row",
                "copy",
                "label",
                "original",
                "side",
            )
        }
        crops: list[np.ndarray] = []
        info: list[dict] = []

        def flush(crops: list, info: list, columns: dict[str, list]) -> None:
            if not crops:
                return
            seen = net.run(np.stack(crops))
            columns["landmarks"].append(seen.landmarks.astype(np.float32))
            columns["world"].append(seen.world.astype(np.float32))
            columns["presence"].append(seen.presence)
            columns["handedness"].append(seen.handedness)
            columns["embedding"].append(seen.embedding.astype(np.float16))
            for key in ("angle", "flip", "row", "copy", "label", "original", "side"):
                columns[key].append(np.array([i[key] for i in info]))
            crops.clear()
            info.clear()

        for photo in tqdm(group, desc=f"features of {source}"):
            hand, others = chosen(photo, found[photo.row])
            rng = np.random.default_rng([seed, photo.row])
            image = read(photo)
            for label, original, one, copies in [
                (photo.label, photo.original, hand, COPIES[source]),
                *(("idle", "idle", o, max(1, COPIES[source] // 4)) for o in others),
            ]:
                if one is None:
                    continue
                for copy in range(copies):
                    roi = (
                        one.first
                        if copy == 1 or (copy > 1 and rng.random() < 0.4)
                        else roi_from_landmarks(one.points)
                    )
                    if copy > 1:
                        roi = jittered(roi, rng)
                    border = cv2.BORDER_REPLICATE if rng.random() < 0.5 else cv2.BORDER_CONSTANT
                    picture = crop(image, roi, 224, border)
                    flip = copy > 1 and rng.random() < 0.5
                    angle = roi.angle
                    if flip:
                        picture, angle = np.ascontiguousarray(picture[:, ::-1]), -angle
                    if copy > 1:
                        picture = worn(picture, rng)
                    crops.append(picture)
                    info.append(
                        {
                            "angle": angle,
                            "flip": flip,
                            "row": photo.row,
                            "copy": copy,
                            "label": label,
                            "original": original,
                            "side": roi.side,
                        }
                    )
                    if len(crops) == BATCH:
                        flush(crops, info, columns)
        flush(crops, info, columns)
        np.savez(target, **{k: np.concatenate(v) for k, v in columns.items()})
