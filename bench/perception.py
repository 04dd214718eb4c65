"""Milliseconds a frame by stage: p50 and p95, tracking and re-detecting, with 1 and 2 threads.

    python bench/perception.py ../shared/data/photos/emrecandir/palm_077.jpg

One person with both hands up: the picture's left half and its mirror image, cut at the person's nose, moved
a little from frame to frame, as 640 x 480 and with more room beside as 1280 x 720. "following": hands and
body are known from the frame before; "re-detecting": everything is forgotten before each frame. "decoding":
what a camera's motion JPEG takes, by itself and on one thread, which is not in "all".
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from agent.config.folders import cache_folder
from agent.config.settings import AgentSettings, RecognitionSettings
from agent.core.types import Floats, Frame, Image
from agent.inference.build import build_recognizer
from agent.inference.engine import BACKENDS, load_engine
from agent.inference.models import locate
from agent.inference.onnxruntime_engine import OnnxRuntimeEngine
from agent.inference.recognizer import Recognizer

STAGES = ("detector", "landmark", "palm", "crop", "classifier")
FPS = 15
SMALL, LARGE = (640, 480), (1280, 720)
WAYS = {"following": False, "re-detecting": True}
QUALITY = 85  # of the JPEGs of a webcam
PHOTOGRAPH = Path(__file__).parents[2] / "shared/data/photos/emrecandir/palm_077.jpg"


class TimedEngine(OnnxRuntimeEngine):
    """Engine wrapper that sums the time of all networks."""

    spent_ms = 0.0

    def run(self, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        """Run the network and add its time."""
        start = time.perf_counter()
        results = super().run(inputs)
        TimedEngine.spent_ms += (time.perf_counter() - start) * 1000
        return results


def both_hands(image: Image, recognizer: Recognizer) -> Image:
    """Compose a person with both hands raised from one with the right hand raised."""
    image = np.asarray(cv2.resize(image, (640, 480)), np.uint8)
    (detections,) = recognizer.recognize([Frame("find", 0, 0.0, image)])
    recognizer.forget("find")
    if not detections.poses:
        raise SystemExit("no person in this picture")
    nose = detections.poses[0].joint("nose")
    middle = round(nose[0]) if nose else 320
    half = image[:, :middle]
    both = np.hstack([half, half[:, ::-1]])
    left = max((both.shape[1] - 640) // 2, 0)
    both = both[:, left : left + 640]
    wide = 640 - both.shape[1]
    return np.asarray(
        cv2.copyMakeBorder(both, 0, 0, wide // 2, wide - wide // 2, cv2.BORDER_REPLICATE), np.uint8
    )


def filmed(image: Image, size: tuple[int, int]) -> Image:
    """Scale the frame to this height, with borders to this width."""
    width, height = size
    scale = height / image.shape[0]
    large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    beside = (width - large.shape[1]) // 2
    return np.asarray(cv2.copyMakeBorder(large, 0, 0, beside, beside, cv2.BORDER_REPLICATE), np.uint8)


def decoding(image: Image) -> list[float]:
    """Measure JPEG decoding in milliseconds of one thread."""
    jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    spent = []
    for _ in range(60):
        start = time.thread_time()
        cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
        spent.append((time.thread_time() - start) * 1000)
    return spent


def frames(image: Image, count: int) -> list[Frame]:
    """Yield the image shifted by a few pixels."""
    moved = []
    for seq in range(count):
        sway = np.array([[1, 0, 6 * math.sin(seq / 5)], [0, 1, 4 * math.cos(seq / 7)]], np.float32)
        picture = cv2.warpAffine(image, sway, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        moved.append(Frame("bench", seq, seq / FPS, np.asarray(picture, np.uint8)))
    return moved


def measure(
    recognizer: Recognizer, clip: list[Frame], *, forget: bool
) -> tuple[dict[str, list[float]], float]:
    """Return the milliseconds of every frame by stage, and hands per frame."""
    spent: dict[str, list[float]] = {name: [] for name in (*STAGES, "all", "not a network")}
    hands = 0
    for frame in clip:
        if forget:
            recognizer.forget(frame.camera)
        TimedEngine.spent_ms = 0.0
        start = time.perf_counter()
        (detections,) = recognizer.recognize([frame])
        total = (time.perf_counter() - start) * 1000
        hands += len(detections.hands)
        for name in STAGES:
            spent[name].append(detections.stage_ms.get(name, 0.0))
        spent["all"].append(total)
        spent["not a network"].append(total - TimedEngine.spent_ms)
    return {name: ms[5:] for name, ms in spent.items()}, hands / len(clip)


def networks(cache: Path, gestures: str) -> Table:
    """Measure each network alone; the classifier with two crops too."""
    table = Table("network", "1 thread", "2 threads", title="ms a run alone, p10 / p50")
    runs = [(name, 1) for name in ("pose-detector", "pose-landmark", "palm-detector", gestures)]
    for name, batch in [*runs, (gestures, 2)]:
        cells = []
        for threads in (1, 2):
            engine = load_engine(name, locate(name, cache), threads=threads)
            feed = {
                key: np.zeros((batch, *map(int, shape[1:])), np.float32)
                for key, shape in engine.inputs.items()
            }
            ms = []
            for _ in range(60):
                start = time.perf_counter()
                engine.run(feed)
                ms.append((time.perf_counter() - start) * 1000)
            engine.close()
            cells.append(f"{np.percentile(ms, 10):.1f} / {np.percentile(ms, 50):.1f}")
        table.add_row(f"{name}, batch {batch}", *cells)
    return table


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument(
        "image", type=Path, nargs="?", default=PHOTOGRAPH, help="one person, right hand raised"
    )
    options.add_argument("--frames", type=int, default=100)
    options.add_argument("--gestures", default=RecognitionSettings().gestures)
    options.add_argument("--cache", type=Path)
    given = options.parse_args()
    read = cv2.imread(str(given.image))
    if read is None:
        raise SystemExit(f"{given.image}: not a picture; give one of a person with the right hand raised")
    cache = given.cache or cache_folder(AgentSettings(), os.environ)
    console = Console(width=170)
    console.print(networks(cache, given.gestures))
    BACKENDS["onnxruntime"] = "__main__:TimedEngine"
    columns = ("threads", "picture", "", "hands", *STAGES, "all", "not a network", "decoding")
    table = Table(*columns, title="ms a frame, p50 / p95")
    for threads in (1, 2):
        cv2.setNumThreads(threads)
        settings = RecognitionSettings(threads=threads, gestures=given.gestures, people=1)
        recognizer = build_recognizer(settings, cache)
        person = both_hands(np.asarray(read, np.uint8), recognizer)
        for size, (title, forget) in product((SMALL, LARGE), WAYS.items()):
            picture = filmed(person, size)
            recognizer.forget("bench")
            spent, hands = measure(recognizer, frames(picture, given.frames), forget=forget)
            cells = [
                f"{np.percentile(ms, 50):.1f} / {np.percentile(ms, 95):.1f}"
                for ms in (*spent.values(), decoding(picture))
            ]
            table.add_row(str(threads), f"{size[0]} x {size[1]}", title, f"{hands:.2f}", *cells)
        recognizer.close()
    console.print(table)


if __name__ == "__main__":
    main()
