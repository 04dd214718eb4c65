"""Photographs as gestures that are held still for a second: what starts, and what keeps the others from it.

    python bench/held_photographs.py ../shared/data anton=1 subhih=5 tanishka=6 emrecandir=10 [--model NAME]

NAME=N takes every N-th photograph of a source of `photos.csv`. Every gate counts: networks, smoothing,
intent, debounce, with the default settings. Each photograph begins with forgotten state. Nothing moves, so
`still` and `onset` are met by all; a photograph that is misread is misread for its whole second.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from agent.commands.output import echo_table
from agent.config.folders import cache_folder
from agent.config.settings import RecognitionSettings, Settings
from agent.core.thresholds import thresholds_of
from agent.core.trace_tune import TruthSpan
from agent.core.types import NO_GESTURE, Frame, Image
from agent.evaluation.clip_judge import CAMERA, Judged, judge_clip
from agent.evaluation.videos import WHOLE_S, Clip
from agent.inference.build import build_recognizer

FPS, FRAMES = 10, 12
TALLEST = 720  # px: larger photographs are shrunk, as a camera would give them


def chosen(table: Path, every: dict[str, int]) -> Iterator[tuple[str, str, Path]]:
    """Yield source, label and path of the photographs that have one label."""
    labels: dict[tuple[str, str], set[str]] = defaultdict(set)
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            labels[row["source"], row["path"]].add(row["label"])
    counts: Counter[str] = Counter()
    for (source, path), of in labels.items():
        if source in every and len(of) == 1 and of != {"exclude"}:
            counts[source] += 1
            if counts[source] % every[source] == 0:
                yield source, min(of), Path(path)


def shown(path: Path) -> Image:
    """Read a photograph (BGR), at most `TALLEST` px high."""
    image = np.asarray(cv2.imread(str(path)), np.uint8)
    if image.shape[0] > TALLEST:
        scale = TALLEST / image.shape[0]
        image = np.asarray(
            cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )
    return image


def every_nth(word: str) -> tuple[str, int]:
    """Parse NAME=N; `ValueError` for what is not."""
    name, _, number = word.partition("=")
    return name, int(number)


def outcome(judged: Judged) -> str:
    """Return "started", "wrong", "nothing", or the reason of the miss."""
    kinds = {start.kind for start in judged.starts}
    if "right" in kinds:
        return "started"
    if kinds:
        return "wrong"
    return judged.missed[0].reason if judged.missed else "nothing"


def main() -> None:
    """Print a row for each source and label."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="folder with photos.csv")
    parser.add_argument("sources", nargs="+", metavar="NAME=N", type=every_nth)
    parser.add_argument("--model", help="classifier; default: the profile's")
    args = parser.parse_args()
    every, root = dict(args.sources), args.root
    chosen_model = {"gestures": args.model} if args.model else {}
    settings = Settings(recognition=RecognitionSettings.model_validate(chosen_model))
    recognizer = build_recognizer(settings.recognition, cache_folder(settings.agent, os.environ))
    table: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for source, label, path in chosen(root / "photos.csv", every):
        image = shown(root / path)
        spans = () if label == NO_GESTURE else (TruthSpan(label, 0.0, WHOLE_S),)
        judged = judge_clip(
            Clip(path, source, spans),
            (Frame(CAMERA, number, number / FPS, image) for number in range(FRAMES)),
            recognizer,
            thresholds=thresholds_of(settings.debounce),
            smoothing_s=settings.debounce.smoothing,
            draw=lambda picture, _start: picture,
        )
        table[source, label][outcome(judged)] += 1
    recognizer.close()
    echo_table(
        ("source", "shows", "photographs", "outcome"),
        [
            [source, label, str(sum(of.values())), ", ".join(f"{n} {what}" for what, n in of.most_common())]
            for (source, label), of in sorted(table.items())
        ],
    )


if __name__ == "__main__":
    main()
