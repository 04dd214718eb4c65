"""Rendered shards to features of the landmark net, like features.py does with photographs."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from engines.training.hands.photos import jittered, worn
from engines.training.hands.rois import HandNet, crop, roi_from_landmarks

COPIES = 2


def extract(shard: Path, models: Path, target: Path) -> None:
    """One shard: every picture in `COPIES` jittered crops."""
    net = HandNet(models / "hand-landmark.onnx")
    rows = pickle.loads(shard.read_bytes())
    number = int(shard.stem.split("-")[1])
    rng = np.random.default_rng([5, number])
    columns: dict[str, list] = {
        k: []
        for k in (
            "landmarks",
            "world",
            "presence",
            "handedness",
            "embedding",
            "angle",
            "row",
            "copy",
            "label",
            "original",
            "side",
            "tone",
        )
    }
    batch, info = [], []
    for n, row in enumerate(tqdm(rows, desc=f"features of {shard.name}")):
        image = cv2.imdecode(np.frombuffer(row["jpeg"], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        base = roi_from_landmarks(row["points"])
        for copy in range(COPIES):
            roi = jittered(base, rng)
            picture = crop(image, roi, 224, cv2.BORDER_REPLICATE)
            batch.append(worn(picture, rng) if rng.random() < 0.8 else picture)
            info.append(
                (roi.angle, number * 10000 + n, copy + 2, row["label"], row["kind"], roi.side, row["tone"])
            )
        if len(batch) >= 16 or n == len(rows) - 1:
            seen = net.run(np.stack(batch))
            for key in ("landmarks", "world", "presence", "handedness"):
                columns[key].append(getattr(seen, key))
            columns["embedding"].append(seen.embedding.astype(np.float16))
            for i, key in enumerate(("angle", "row", "copy", "label", "original", "side", "tone")):
                columns[key].append(np.array([x[i] for x in info]))
            batch, info = [], []
    np.savez(target, **{k: np.concatenate(v) for k, v in columns.items()})
