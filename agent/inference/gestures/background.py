"""Background hands: rendered images of many hand shapes that taught gestures are trained against.

`hands.webp` is a sheet of square images, `hands.json` gives the hand's box in each. They are images because
each classifier computes its own embeddings; those are stored in the cache folder.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from agent.core.taught import HandSamples
from agent.core.types import Box, HandDetection, Image
from agent.errors import ModelError
from agent.inference.gestures.classifier import Readout
from agent.inference.manifest import engines_folder

FOLDER = "rendered-hands"


class BoxClassifier(Protocol):
    """Protocol of a classifier for hands at known boxes; `Recognizer` implements it."""

    def read(self, image: Image, hands: list[Box]) -> list[Readout]:
        """Return one readout for every box, in their order. Raises `EngineError`."""


def pictures(engines: Path | None = None) -> Iterator[tuple[Image, Box]]:
    """Yield every rendered image (BGR) with its hand's box.

    Raises `ModelError` for missing or damaged files.
    """
    folder = (engines or engines_folder()) / FOLDER
    try:
        listed = json.loads((folder / "hands.json").read_text(encoding="utf-8"))
        sheet = cv2.imdecode(np.fromfile(folder / "hands.webp", np.uint8), cv2.IMREAD_COLOR)
    except (OSError, ValueError, cv2.error) as exc:
        raise ModelError(f"{folder}: {exc}; it is part of the installation: install again") from exc
    side, columns = listed["side_px"], listed["columns"]
    if sheet is None or sheet.shape[0] * sheet.shape[1] < len(listed["hands"]) * side * side:
        raise ModelError(f"{folder}: hands.webp does not hold the hands of hands.json; install again")
    for number, hand in enumerate(listed["hands"]):
        y, x = number // columns * side, number % columns * side
        yield np.asarray(sheet[y : y + side, x : x + side], np.uint8), Box(*hand["box"])


def background(
    classifier: BoxClassifier,
    classifier_sha256: str,
    cache_dir: Path,
    progress: Callable[[], None] = lambda: None,
) -> HandSamples:
    """Return the classifier's output for the background hands, from the cache where possible."""
    kept = cache_dir / f"background-{classifier_sha256[:16]}.npz"
    try:
        with kept.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return HandSamples(arrays["embeddings"], arrays["scores"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass  # not in the cache, or damaged: compute
    readouts = []
    for image, box in pictures():
        readouts += classifier.read(image, [box])
        progress()
    found = hands_of(readouts)
    cache_dir.mkdir(parents=True, exist_ok=True)
    with kept.open("wb") as target:
        np.savez(target, embeddings=found.embeddings, scores=found.scores)
    return found


def hands_of(readouts: Sequence[Readout | HandDetection]) -> HandSamples:
    """Collect the readouts that have an embedding and scores. Raises `ModelError` where there is none."""
    pairs = [(r.embedding, r.scores) for r in readouts if r.embedding is not None and r.scores is not None]
    if not pairs:
        raise ModelError("the classifier gives no embedding, so it cannot learn gestures; choose another one")
    return HandSamples(
        np.stack([embedding.reshape(-1) for embedding, _ in pairs]).astype(np.float32),
        np.stack([scores for _, scores in pairs]).astype(np.float32),
    )
