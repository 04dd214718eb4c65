"""Benchmark of gestures at a desk in low light, with and without automatic exposure.

    python bench/dark.py ../shared/data

ROOT holds sequences/desk/<label>/NNNN.jpg, 100 frames of a gesture each, which are played at 15 a second
through the whole chain. Less light is simulated: fewer grey levels, the noise of a webcam, JPEG.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import numpy_helper
from rich.progress import track

from agent.config.folders import cache_folder
from agent.config.settings import Settings
from agent.core.rules import RuleSet
from agent.core.types import Frame, GestureStarted, Image
from agent.inference.build import build_recognizer
from agent.inference.files.disk import receipt_of
from agent.inference.files.exposure import PREFIX
from agent.inference.files.store import cached
from agent.inference.models import engines_of
from agent.inference.recognizer import Recognizer
from agent.pipeline import build_pipeline

GESTURES = ("fist", "stop", "thumbs_up", "ok")
LIGHTS = (1.0, 0.3, 0.2, 0.12, 0.08)
NOISE, QUALITY = 2.5, 88  # standard deviation of 255, at the reduced light; JPEG quality
FPS = 15


def darkened(image: Image, light: float, rng: np.random.Generator) -> Image:
    """Return the frame as a camera with a fixed exposure gives it at this share of the light."""
    if light == 1:
        return image
    seen = np.clip(image * light + rng.normal(0, NOISE, image.shape), 0, 255).astype(np.uint8)
    jpeg = cv2.imencode(".jpg", seen, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)


def without_exposure(settings: Settings, cache: Path, folder: Path) -> Path:
    """Return a cache with the same networks, but without brightening."""
    for name in engines_of(settings.recognition):
        model = onnx.load(cached(name, cache))
        for constant in model.graph.initializer:
            if constant.name.endswith(f"{PREFIX}most"):
                constant.CopyFrom(numpy_helper.from_array(np.asarray(np.float32(1)), constant.name))
        target, content = cached(name, folder), model.SerializeToString()
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content)
        receipt = {**receipt_of(cached(name, cache)), "sha256": hashlib.sha256(content).hexdigest()}
        target.with_suffix(".json").write_text(json.dumps(receipt))
    return folder


def starts(recognizer: Recognizer, settings: Settings, frames: Iterator[Image]) -> tuple[list[str], int]:
    """Return the gestures that start, and in how many frames a hand was found."""
    recognizer.forget("desk")
    pipeline, started, found = build_pipeline(settings, recognizer.labels, RuleSet()), [], 0
    for number, image in enumerate(frames):
        (detections,) = recognizer.recognize([Frame("desk", number, number / FPS, image)])
        found += bool(detections.hands)
        started += [e.gesture for e in pipeline.process(detections).events if isinstance(e, GestureStarted)]
    return started, found


def cell(recognizer: Recognizer, settings: Settings, clips: dict[str, list[Image]], light: float) -> str:
    """Return the result over all clips at this share of the light."""
    right = found = other = 0
    for gesture, clip in clips.items():
        rng = np.random.default_rng(0)
        started, seen = starts(recognizer, settings, (darkened(image, light, rng) for image in clip))
        right, other, found = right + (gesture in started), other + len(started), found + seen
    return f"{right} of {len(clips)}, {other - right} more, {found:3} of {sum(map(len, clips.values()))}"


def main() -> None:
    """Print a line for each light level."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("root", type=Path)
    root: Path = options.parse_args().root
    settings = Settings()
    cache = cache_folder(settings.agent, os.environ)
    clips = {
        g: [np.asarray(cv2.imread(str(p)), np.uint8) for p in sorted((root / "sequences/desk" / g).iterdir())]
        for g in GESTURES
    }
    with tempfile.TemporaryDirectory() as folder:
        plain = without_exposure(settings, cache, Path(folder))
        both = [build_recognizer(settings.recognition, place) for place in (plain, cache)]
    print("light   without exposure: gestures, frames with a hand   with it")
    for light in track(LIGHTS, console=None, disable=not sys.stderr.isatty()):
        cells = [cell(recognizer, settings, clips, light) for recognizer in both]
        print(f"{light:5.0%}   {cells[0]:>50}   {cells[1]}", flush=True)
    for recognizer in both:
        recognizer.close()


if __name__ == "__main__":
    main()
