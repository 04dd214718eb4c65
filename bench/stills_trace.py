"""Makes a trace for `tune` from photographs, each shown for a second as if before a camera.

Only those that show no gesture (label random), of the given sources, are shown, with half a second
without a hand between two of them. This is no video: nothing moves, and a photograph that is misread
is misread for its whole second, so it is the hardest case for debounce and says nothing of an hour in
a living room.

    python bench/stills_trace.py photos.csv FOLDER out.jsonl emrecandir anton
"""

from __future__ import annotations

import csv
import dataclasses
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from agent.config.folders import cache_folder
from agent.config.settings import Settings
from agent.config.trace_settings import trace_header
from agent.core.rules import RuleSet
from agent.core.trace import TraceRecord
from agent.core.types import Detections, Frame
from agent.inference.build import build_recognizer
from agent.inference.recognizer import Recognizer
from agent.pipeline import build_pipeline
from agent.service.trace_files import TraceFile

CAMERA = "stills"
FPS = 15
SHOWN_S, PAUSE_S = 1.0, 0.5
LOOKS = 2  # per photograph: the second one with the hand already tracked


def photographs(table: Path, root: Path, sources: list[str]) -> Iterator[Path]:
    """Return the photographs that show no gesture."""
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["source"] in sources and row["label"] == "random":
                yield root / row["path"]


def all_detections(recognizer: Recognizer, paths: Iterator[Path]) -> Iterator[Detections]:
    """Yield every photograph at `FPS`; the last detection is repeated for the rest of its second."""
    shown, pause = round(SHOWN_S * FPS), round(PAUSE_S * FPS)
    frame = 0
    for path in dict.fromkeys(paths):
        image = cv2.imread(str(path))
        if image is None:
            continue
        picture = np.asarray(image, np.uint8)
        detections = None
        recognizer.forget(CAMERA)
        for number in range(shown):
            at = frame / FPS
            if number < LOOKS:
                (detections,) = recognizer.recognize([Frame(CAMERA, frame, at, picture)])
            if detections is not None:
                yield dataclasses.replace(detections, frame=Frame(CAMERA, frame, at, picture))
            frame += 1
        for _ in range(pause):
            yield Detections(Frame(CAMERA, frame, frame / FPS, picture), 0)
            frame += 1


def main() -> None:
    """Write the trace."""
    table, root, out, *sources = sys.argv[1:]
    settings = Settings()
    recognizer = build_recognizer(settings.recognition, cache_folder(settings.agent, os.environ))
    pipeline = build_pipeline(settings, recognizer.labels, RuleSet())
    paths = list(photographs(Path(table), Path(root), sources))
    with TraceFile(Path(out), trace_header(settings, recognizer.labels)) as trace:
        for detections in all_detections(recognizer, iter(paths)):
            trace.record(
                TraceRecord(
                    "frame", detections.at, detections.camera, pipeline.process(detections).observations
                )
            )
    recognizer.close()
    print(f"{out}: {len(set(paths))} photographs, {len(set(paths)) * (SHOWN_S + PAUSE_S):.0f} s")


if __name__ == "__main__":
    main()
