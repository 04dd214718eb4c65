"""Share of photographs in which a raised right hand is found and cropped, and a contact sheet of the crops.

    python bench/hands_found.py ../shared/data --source emrecandir --sheet /tmp/found.png
    python bench/hands_found.py ../shared/data --live --worn     # as a camera in a dim room would see them

ROOT holds photos.csv (path, source, label). Rows labelled `exclude` are left out: there the hand may be down.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from rich.progress import track

from agent.config.folders import cache_folder
from agent.config.settings import AgentSettings, DebounceSettings, RecognitionSettings
from agent.core.intent import UPRIGHT, obstacle_of
from agent.core.thresholds import thresholds_of
from agent.core.types import Frame, HandDetection, HandPosture, Image
from agent.inference.build import build_recognizer

TILE = 96  # px of a crop on the sheet
LIGHT, NOISE = 0.35, 6.0  # of a worn picture: share of the light, standard deviation of 255


def photographs(root: Path, source: str) -> Iterator[tuple[Path, str]]:
    """Return path and label of every row of a source in which the hand is raised."""
    with (root / "photos.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["source"] == source and row["label"] != "exclude":
                yield root / row["path"], row["label"]


def worn(image: Image) -> Image:
    """Degrade an image: half the resolution, a third of the light, noise of a webcam in low light."""
    height, width = image.shape[:2]
    small = cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(0).normal(0, NOISE, image.shape)
    return np.asarray(np.clip(cv2.resize(small, (width, height)) * LIGHT + noise, 0, 255), np.uint8)


def tile(image: Image, hands: list[HandDetection], right: HandDetection | None) -> Image:
    """Return the crop of the right hand with landmarks; without one, the whole image with the detections."""
    if right is None:
        small = image.copy()
        for hand in hands:
            cv2.polylines(
                small, [hand.box.corners().astype(int)], isClosed=True, color=(0, 0, 255), thickness=4
            )
        return np.asarray(cv2.resize(small, (TILE, TILE)), np.uint8)
    points = np.array(right.box.scaled(1.6).corners()[:3], np.float32)
    aim = np.array([(0, 0), (TILE, 0), (TILE, TILE)], np.float32)
    matrix = cv2.getAffineTransform(points, aim)
    crop = cv2.warpAffine(image, matrix, (TILE, TILE))
    if right.landmarks is not None:
        for x, y in right.landmarks @ matrix[:, :2].T + matrix[:, 2]:
            cv2.circle(crop, (round(x), round(y)), 1, (0, 255, 255), -1)
    return np.asarray(crop, np.uint8)


def how_held(hands: list[tuple[str, HandPosture]]) -> str:
    """Print how high and upright hands are, and how many could not start their gesture."""
    limits = thresholds_of(DebounceSettings())
    heights = [posture.raised for _, posture in hands if posture.raised is not None]
    leans = [posture.lean for label, posture in hands if posture.lean is not None and label in UPRIGHT]
    found = [obstacle_of(posture, label, limits) for label, posture in hands]
    obstacles = Counter(obstacle.reason for obstacle in found if obstacle)
    return (
        f"raised to {min(heights):.2f} or more (0 hips, 1 shoulders), "
        f"half of them to {np.median(heights):.2f}\n"
        f"{', '.join(UPRIGHT)} lean by {max(leans, default=0):.0f} degrees or less\n"
        f"held so that [debounce] lets them begin nothing: {obstacles.total()} of {len(hands)}"
        + "".join(f"\n  {reason} {count}" for reason, count in obstacles.most_common())
    )


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("root", type=Path)
    options.add_argument("--source", default="emrecandir")
    options.add_argument("--sheet", type=Path, help="PNG to look at; it shows private people: do not publish")
    options.add_argument("--misses", action="store_true", help="only what was missed on the sheet")
    options.add_argument("--live", action="store_true", help="as the first frame of a camera, not as a still")
    options.add_argument("--worn", action="store_true", help="dark, noisy and half as sharp")
    options.add_argument("--every", type=int, default=1, help="only every n-th photograph")
    options.add_argument("--proposal", default="both")
    options.add_argument("--gestures", default=RecognitionSettings().gestures)
    options.add_argument("--cache", type=Path)
    options.add_argument("--engines", type=Path)
    given = options.parse_args()
    settings = RecognitionSettings(proposal=given.proposal, gestures=given.gestures)
    recognizer = build_recognizer(
        settings, given.cache or cache_folder(AgentSettings(), os.environ), given.engines
    )
    tiles, held, found, several, start = [], [], 0, 0, time.perf_counter()
    chosen = list(photographs(given.root, given.source))[:: given.every]
    for path, label in track(chosen, console=None, disable=not sys.stderr.isatty()):
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        image = worn(image) if given.worn else image
        if given.live:
            recognizer.forget("bench")
            hands = list(recognizer.recognize([Frame("bench", 0, 0.0, image)])[0].hands)
        else:
            hands = recognizer.recognize_still(image)
        right = next((hand for hand in hands if hand.hand == "right"), None)
        found += right is not None
        several += len(hands) > 1
        if right is not None and right.posture.raised is not None:
            held.append((label, right.posture))
        if given.sheet and (right is None or not given.misses):
            tiles.append(tile(image, hands, right))
            if right is None:
                print(f"missed: {path.name} ({label}), found {[(h.hand, round(h.box.side)) for h in hands]}")
    each = (time.perf_counter() - start) / max(len(chosen), 1) * 1000
    print(f"{given.source}: right hand found in {found} of {len(chosen)} ({found / len(chosen):.1%}),")
    print(f"more than one hand in {several}; {each:.0f} ms a photograph, proposal {given.proposal}")
    if held:
        print(how_held(held))
    if given.sheet and tiles:
        across = 20
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % across)
        rows = [np.hstack(tiles[i : i + across]) for i in range(0, len(tiles), across)]
        cv2.imwrite(str(given.sheet), np.vstack(rows))


if __name__ == "__main__":
    main()
