"""Photographs as gestures that are held still for a second: what starts, and what keeps the others from it.

    python bench/held_photographs.py ../shared/data anton=1 subhih=5 tanishka=6 emrecandir=10 [--model NAME]
    python bench/held_photographs.py ../shared/data/negatives coco_ccby=1 openimages_ccby=1 --starts STARTS

NAME=N takes every N-th photograph of a source of `photos.csv`. Every gate counts: networks, smoothing,
intent, debounce, with the default settings. Each photograph begins with forgotten state. Nothing moves, so
`still` and `onset` are met by all; a photograph that is misread is misread for its whole second.
Photographs of people who mean nothing (`random`) tell what starts by mistake. --starts keeps the image of
every start that is not right, and names its score, the score it had to reach, and any doubt. --light and
--grey show the photographs as a dim room or a camera at night gives them.
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
from dark import darkened

from agent.commands.output import echo_table
from agent.config.folders import cache_folder
from agent.config.settings import RecognitionSettings, Settings
from agent.core.intent import intent_of
from agent.core.thresholds import Thresholds, thresholds_of
from agent.core.trace_tune import TruthSpan
from agent.core.types import NO_GESTURE, Frame, Image
from agent.evaluation.clip_judge import CAMERA, Judged, Start, judge_clip
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


def as_camera(image: Image, light: float, grey: bool) -> Image:
    """Return the photograph (BGR) at this share of its light (0..1), and without colours where `grey`."""
    if grey:
        image = np.asarray(
            cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8
        )
    return darkened(image, light, np.random.default_rng(0))


def boxed(image: Image, start: Start) -> Image:
    """Return a copy of the photograph with the box of the hand that started."""
    place, picture = start.observation.place, image.copy()
    if place is not None:
        height, width = image.shape[:2]
        middle = np.array([place.x_share * width, place.y_share * height])
        half = np.array([place.height_share * height / 2] * 2)
        (left, top), (right, bottom) = (middle - half).astype(int), (middle + half).astype(int)
        cv2.rectangle(picture, (int(left), int(top)), (int(right), int(bottom)), (0, 0, 255), 2)
    return picture


def told(start: Start, thresholds: Thresholds) -> list[str]:
    """Return a row on a start: gesture, score, the score that was asked for, and why more was asked."""
    intent = intent_of(start.observation, start.gesture, thresholds)
    clear = intent.doubt or "meant without doubt"
    return [str(start.clip.path), start.gesture, f"{start.score:.2f}", f"{intent.confidence:.2f}", clear]


def every_nth(word: str) -> tuple[str, int]:
    """Parse NAME=N; `ValueError` for what is not."""
    name, _, number = word.partition("=")
    return name, int(number)


def outcome(judged: Judged) -> str:
    """Return "started", "wrong", "nothing", the reason of the miss, or the limit that held a start back."""
    kinds = {start.kind for start in judged.starts}
    if "right" in kinds:
        return "started"
    if kinds:
        return "wrong"
    if judged.missed:
        return judged.missed[0].reason
    return f"held back: {judged.held_back[0].reason}" if judged.held_back else "nothing"


def main() -> None:
    """Print a row for each source and label."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="folder with photos.csv")
    parser.add_argument("sources", nargs="+", metavar="NAME=N", type=every_nth)
    parser.add_argument("--model", help="classifier; default: the profile's")
    parser.add_argument("--starts", type=Path, help="folder for the images of starts that are not right")
    parser.add_argument("--light", type=float, default=1.0, help="share of the light, 0..1 (%(default)s)")
    parser.add_argument("--grey", action="store_true", help="without colours")
    args = parser.parse_args()
    every, root = dict(args.sources), args.root
    chosen_model = {"gestures": args.model} if args.model else {}
    settings = Settings(recognition=RecognitionSettings.model_validate(chosen_model))
    recognizer = build_recognizer(settings.recognition, cache_folder(settings.agent, os.environ))
    thresholds = thresholds_of(settings.debounce)
    table: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    mistakes: list[Start] = []
    for source, label, path in chosen(root / "photos.csv", every):
        image = as_camera(shown(root / path), args.light, args.grey)
        spans = () if label == NO_GESTURE else (TruthSpan(label, 0.0, WHOLE_S),)
        judged = judge_clip(
            Clip(path, source, spans),
            (Frame(CAMERA, number, number / FPS, image) for number in range(FRAMES)),
            recognizer,
            thresholds=thresholds,
            smoothing_s=settings.debounce.smoothing,
            draw=boxed,
        )
        mistakes += [start for start in judged.starts if start.kind in ("wrong", "false")]
        table[source, label][outcome(judged)] += 1
    recognizer.close()
    echo_table(
        ("source", "shows", "photographs", "outcome"),
        [
            [source, label, str(sum(of.values())), ", ".join(f"{n} {what}" for what, n in of.most_common())]
            for (source, label), of in sorted(table.items())
        ],
    )
    if mistakes:
        echo_table(
            ("photograph", "started", "score", "asked", "doubt"), [told(s, thresholds) for s in mistakes]
        )
    if args.starts:
        args.starts.mkdir(parents=True, exist_ok=True)
        for number, start in enumerate(mistakes):
            target = args.starts / f"{number:03d}-{start.gesture}-{start.clip.path.stem}.jpg"
            if start.picture is not None and not cv2.imwrite(str(target), start.picture):
                raise OSError(f"{target}: not written")


if __name__ == "__main__":
    main()
