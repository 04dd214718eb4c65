"""Accuracy of taught gestures, and their cost for the built-in six: taught by some people, tested on others.

    python bench/teach.py ../shared/data

Photographs of `photos.csv`, by `original_label`, read by the product's own chain (`see_still`). Each
gesture is taught alone from `TAUGHT` hands. Of ardamavi (218 people, one picture of each kind) those are
people that are in no test picture; of the others, one to three people each, they are from the first half
of the pictures and the test is the second half. "elsewhere": the same shape made by the people of
another source. "six": share of all other photographs of gestures, every source, read right. "eaten":
share of them that is read as the taught one. "unknown": share of photographs of other shapes, no
gesture, that are read as it.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from agent.commands.collect import spread
from agent.config.folders import cache_folder
from agent.config.settings import AgentSettings, DebounceSettings, RecognitionSettings
from agent.core.taught import HandSamples, TaughtHead, largest, train
from agent.core.types import BUILT_IN_GESTURES, NO_GESTURE
from agent.inference.build import build_recognizer
from agent.inference.gestures.background import background, hands_of
from agent.inference.recognizer import Recognizer

TAUGHT = 25
CONFIDENCE = DebounceSettings().confidence
NEW = (  # source, original_label, the same shape elsewhere
    ("ardamavi", "3", ()),  # thumb, index and middle finger
    ("ardamavi", "0", ()),  # a round O
    ("ardamavi", "4", ("subhih/4-hand", "emrecandir/video_pause")),
    ("ardamavi", "6", ()),  # thumb on the little finger: 7 and 8 are the next fingers
    ("tanishka", "CallMe", ("emrecandir/follow",)),
    ("tanishka", "RockOn", ("emrecandir/photo",)),  # horns
    ("tanishka", "GoodLuck", ()),  # crossed fingers
    ("emrecandir", "photo", ("tanishka/RockOn",)),
    ("emrecandir", "follow", ("tanishka/CallMe",)),
    ("subhih", "3-hand", ()),
)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Photographs in which a hand was found."""

    key: np.ndarray  # source/original_label
    label: np.ndarray
    hands: HandSamples
    missed: dict[str, int]  # photographs by key in which none was


def look(data: Path, recognizer: Recognizer, every: int) -> Seen:
    """Process every n-th photograph of each kind; all of the taught kinds."""
    with (data / "photos.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] != "exclude"]
    whole = {f"{source}/{label}" for source, label, _ in NEW} | {same for *_, more in NEW for same in more}
    numbers: dict[str, int] = {}
    keys, labels, found, missed = [], [], [], {}
    for row in track(rows, "photographs", console=Console(stderr=True)):
        key = f"{row['source']}/{row['original_label']}"
        numbers[key] = numbers.get(key, -1) + 1
        if (key not in whole and numbers[key] % every) or (key in whole and numbers[key] % 2):
            continue
        image = np.asarray(cv2.imread(str(data / row["path"])), np.uint8)
        box = tuple(float(n) for n in row["box_xyxy"].replace(",", " ").split())
        seen = recognizer.hands_in(image, box) if box else recognizer.recognize_still(image)  # type: ignore[arg-type]
        hand = largest(seen)
        if hand is None:
            missed[key] = missed.get(key, 0) + 1
            continue
        keys.append(key)
        labels.append(row["label"])
        found.append(hand)
    return Seen(np.array(keys), np.array(labels), hands_of(found), missed)


def scores(head: TaughtHead, hands: HandSamples) -> np.ndarray:
    """Return the probabilities (N, labels)."""
    pairs = zip(hands.scores, hands.embeddings, strict=True)
    return np.array([head.scores(base, embedding) for base, embedding in pairs]).reshape(len(hands), -1)


def percent(values: Iterable[bool]) -> str:
    """Return the percentage of true values."""
    values = list(values)
    return f"{100 * sum(values) / len(values):.1f}" if values else "-"


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("data", type=Path)
    options.add_argument("--gestures", default=RecognitionSettings().gestures)
    options.add_argument("--every", type=int, default=4, help="of the photographs that are not taught")
    given = options.parse_args()
    cache = cache_folder(AgentSettings(), os.environ)
    recognizer = build_recognizer(RecognitionSettings(gestures=given.gestures), cache)
    classifier = recognizer.models[given.gestures]
    seen = look(given.data, recognizer, given.every)
    others = background(recognizer, classifier, cache)
    recognizer.close()
    built_in = recognizer.labels
    table = Table("taught", "test", "recall", f"at {CONFIDENCE}", "elsewhere", "six before", "after", "eaten",
                  "unknown", "ms", title="per cent of photographs with a hand")  # fmt: skip
    truth = np.array([built_in.index(label) for label in seen.label])
    before = seen.hands.scores.argmax(axis=1)
    for source, label, elsewhere in NEW:
        own = np.flatnonzero(seen.key == f"{source}/{label}")
        shown, test = halves(source, own)
        start = time.perf_counter()
        head = train(built_in, others, seen.hands.rows(mask(shown, seen)), ["taught"] * len(shown))
        took_ms = (time.perf_counter() - start) * 1000
        said = scores(head, seen.hands)
        best, new = said.argmax(axis=1), len(built_in)
        six = np.isin(seen.label, BUILT_IN_GESTURES)
        alike = np.isin(seen.key, (f"{source}/{label}", *elsewhere))
        unknown = (seen.label == NO_GESTURE) & ~alike
        table.add_row(
            f"{source}/{label} ({len(shown)})", str(len(test)), percent(best[test] == new),
            percent(said[test, new] >= CONFIDENCE),
            " ".join(f"{percent(best[seen.key == key] == new)} {key}" for key in elsewhere),
            percent(before[six] == truth[six]), percent(best[six] == truth[six]), percent(best[six] == new),
            percent(said[unknown, new] >= CONFIDENCE), f"{took_ms:.0f}",
        )  # fmt: skip
    Console(width=170).print(table)
    print("no hand found:", dict(sorted(seen.missed.items())))


def halves(source: str, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices for teaching and for testing."""
    if source == "ardamavi":
        shown = np.array(spread(list(own), TAUGHT))
        return shown, np.setdiff1d(own, shown)
    middle = len(own) // 2
    return np.array(spread(list(own[:middle]), TAUGHT)), own[middle:]


def mask(rows: np.ndarray, seen: Seen) -> np.ndarray:
    """Return a mask that is true at these rows."""
    chosen = np.zeros(len(seen.key), bool)
    chosen[rows] = True
    return chosen


if __name__ == "__main__":
    main()
