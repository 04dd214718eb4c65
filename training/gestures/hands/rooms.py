"""Backgrounds for rendered and keyed hands: parts of photographed rooms, and synthetic walls."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np

from training.gestures.hands.photos import photos, read

SIDE = 320  # px of a background
COUNT = 260  # parts of photographs


SOURCES = ("emrecandir", "subhih")  # photographs that show a room and are not in the test set


def photographed(data: Path, work: Path, seed: int) -> list[np.ndarray]:
    """Cut random squares from photographs, beside the detected hands."""
    rng = np.random.default_rng(seed + 5)
    wide = [p for p in photos(data) if p.source in SOURCES]
    found = {source: pickle.loads((work / f"found-{source}.pkl").read_bytes()) for source in SOURCES}
    out: list[np.ndarray] = []
    for i in rng.permutation(len(wide)):
        if len(out) == COUNT:
            break
        image, hands = read(wide[i]), found[wide[i].source][wide[i].row]
        height, width = image.shape[:2]
        side = int(rng.uniform(140, height))
        x, y = int(rng.integers(0, width - side + 1)), int(rng.integers(0, height - side + 1))
        if any(x < p[0] < x + side and y < p[1] < y + side for hand in hands for p in hand.points):
            continue
        out.append(cv2.resize(image[y : y + side, x : x + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA))
    return out


def made_up(rng: np.random.Generator) -> np.ndarray:
    """Draw a wall with shapes, for variety or where no photograph of a room is available."""
    small = rng.uniform(0, 255, (int(rng.integers(2, 9)), int(rng.integers(2, 9)), 3)).astype(np.float32)
    image = cv2.resize(small, (SIDE, SIDE), interpolation=int(rng.choice([0, 1, 2])))
    image = image * rng.uniform(0.3, 1) + rng.uniform(0, 255, 3) * rng.uniform(0, 0.6)
    for _ in range(int(rng.integers(0, 9))):
        a, b = rng.integers(0, SIDE, 2), rng.integers(0, SIDE, 2)
        colour = rng.uniform(0, 255, 3).tolist()
        if rng.random() < 0.5:
            cv2.rectangle(image, tuple(map(int, a)), tuple(map(int, b)), colour, int(rng.choice([-1, 2, 6])))
        else:
            cv2.circle(image, tuple(map(int, a)), int(rng.integers(5, 90)), colour, int(rng.choice([-1, 3])))
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
