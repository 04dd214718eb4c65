"""Hands of people who hold things, touch things and mean nothing, in photographs and films.

They are found as the agent finds them, every one is `random`, and they are stored as the step `live` stores
its hands. Films of sign language are left out: they show real gestures.
"""

from __future__ import annotations

import csv
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from tqdm import tqdm

from training.gestures.hands.living import picture_of

if TYPE_CHECKING:
    from agent.core.types import HandDetection
    from agent.inference.recognizer import Recognizer

CLASSIFIER = "gesturenet-landmark"  # its landmarks are kept; its word is not
EVERY = 4  # one of so many frames of a film is kept
SIGNS = "sign-language"


def extract(data: Path, out: Path) -> None:
    """Write `negatives.pkl`: the images of the hands with their landmarks and their source as `original`."""
    target = out / "negatives.pkl"
    if target.exists():
        return
    recognizer = _recognizer()
    rows = []
    for image, hands, source in tqdm(_seen(data, recognizer), desc="negatives"):
        known = {"label": "random", "original": source}
        rows += [picture_of(image, hand, known) for hand in hands if hand.landmarks is not None]
    recognizer.close()
    target.write_bytes(pickle.dumps(rows))


def _recognizer() -> Recognizer:
    from agent.config.folders import cache_folder
    from agent.config.settings import Settings
    from agent.inference.build import build_recognizer

    settings = Settings()
    recognition = settings.recognition.model_copy(update={"gestures": CLASSIFIER, "profile": "accurate"})
    return build_recognizer(recognition, cache_folder(settings.agent, os.environ))


def _seen(data: Path, recognizer: Recognizer) -> Iterator[tuple[np.ndarray, list[HandDetection], str]]:
    """Yield image (BGR), hands, and the name of the source, which is held out as a whole."""
    with (data / "negatives" / "photos.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            image = cv2.imread(str(data / "negatives" / row["path"]))
            yield image, recognizer.recognize_still(image), row["source"]
    with (data / "idle_videos" / "videos.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["kind"] != SIGNS:
                source = row["file"].split("_")[0]
                yield from ((*one, source) for one in _film(data / "idle_videos" / row["file"], recognizer))


def _film(path: Path, recognizer: Recognizer) -> Iterator[tuple[np.ndarray, list[HandDetection]]]:
    from agent.core.types import Frame

    recognizer.forget("film")
    film = cv2.VideoCapture(str(path))
    rate = film.get(cv2.CAP_PROP_FPS) or 10.0
    number = 0
    while (read := film.read())[0]:
        (seen,) = recognizer.recognize([Frame("film", number, number / rate, read[1])])
        if number % EVERY == 0:
            yield read[1], list(seen.hands)
        number += 1
    film.release()
