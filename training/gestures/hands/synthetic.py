"""Features of rendered hands: output of the landmark network, as features.py does for photographs."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from training.gestures.hands.photos import jittered, worn
from training.gestures.hands.rois import crop, roi_from_landmarks
from training.gestures.hands.table import LandmarkNet, Table

COPIES = 2


def extract(shard: Path, net: LandmarkNet, target: Path) -> None:
    """Compute the features of one shard: every image in `COPIES` jittered crops."""
    table = Table(net)
    number = int(shard.stem.split("-")[1])
    rng = np.random.default_rng([5, number])
    for n, row in enumerate(tqdm(pickle.loads(shard.read_bytes()), desc=f"features of {shard.name}")):
        image = cv2.imdecode(np.frombuffer(row["jpeg"], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        base = roi_from_landmarks(row["points"])
        for copy in range(COPIES):
            roi = jittered(base, rng)
            picture = crop(image, roi, 224, cv2.BORDER_REPLICATE)
            table.add(
                worn(picture, rng) if rng.random() < 0.8 else picture,
                angle=roi.angle,
                row=number * 10000 + n,
                copy=copy + 2,
                label=row["label"],
                original=row["kind"],
                tone=row["tone"],
            )
    table.save(target)
