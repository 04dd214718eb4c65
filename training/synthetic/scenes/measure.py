"""Runs scenes through the daemon's own pipeline, and writes a trace and the ground truth of each.

A part is one scene: `idle-0007.jsonl` is a trace as `gesture-agent record` writes it, `idle-0007.json`
says how often the people and the hands in it were found. No image is kept: the seed reproduces it.
"""

from __future__ import annotations

import csv
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.synthetic.scenes.hands import Array
from training.synthetic.scenes.rig import SIDES, Side
from training.synthetic.scenes.scene import Film, Kind, Scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.core.types import Detections
    from training.synthetic.scenes.picture import Painter

CAMERA = "rendered"
TRUTH = "truth.csv"
NEAR = 0.75  # a hand is found where the middle of its box is within this share of the box of the true palm


class SceneRecognizer:
    """The agent's perception and core, with the settings in force, or another classifier's."""

    def __init__(self, gestures: str | None = None) -> None:
        from agent.commands.options import loaded
        from agent.config.folders import cache_folder
        from agent.inference.build import build_recognizer

        self.settings = loaded(None).settings
        recognition = self.settings.recognition
        if gestures is not None:
            recognition = recognition.model_copy(update={"gestures": gestures})
        self.recognizer = build_recognizer(recognition, cache_folder(self.settings.agent, os.environ))

    def watch(self, scene: Scene, painter: Painter, out: Path, step: Callable[[], None]) -> None:
        """Write the trace and the counts of a scene atomically."""
        from agent.config.trace_settings import trace_header
        from agent.core.rules import RuleSet
        from agent.core.trace import TraceRecord
        from agent.core.types import Frame
        from agent.pipeline import build_pipeline
        from agent.service.trace_files import TraceFile

        self.recognizer.forget(CAMERA)
        mind = build_pipeline(self.settings, self.recognizer.labels, RuleSet())
        half, seen, began = out.with_suffix(".part"), Seen(scene, self.recognizer.labels), time.process_time()
        with TraceFile(half, trace_header(self.settings, self.recognizer.labels)) as trace:
            for number, image in scene.frames(painter):
                at = float(scene.times[number])
                (sight,) = self.recognizer.recognize([Frame(CAMERA, number, at, image)])
                trace.record(TraceRecord("frame", at, CAMERA, mind.process(sight).observations))
                seen.count(number, sight)
                step()
        spent = time.process_time() - began
        out.with_suffix(".json").write_text(json.dumps(seen.facts(spent), indent=1) + "\n")
        half.replace(out)


class Seen:
    """Counts of true people and hands, and of those that the networks found."""

    def __init__(self, scene: Scene, labels: Sequence[str]) -> None:
        self._scene, self._labels = scene, labels
        self._counts: Counter[str] = Counter()
        self._palms = {(i, side): scene.palms(i, side) for i in range(len(scene.actors)) for side in SIDES}
        heads = [a.rig.point(b, "head") for a, b in zip(scene.actors, scene.bones, strict=True)]
        self._heads = [scene.project(h) for h in heads]

    def count(self, number: int, sight: Detections) -> None:
        """Count one frame."""
        c, scene, at = self._counts, self._scene, float(self._scene.times[number])
        there = sum(_inside(head[number]) for head in self._heads)
        c["frames"] += 1
        c["people_there"] += there
        c["people_found"] += min(there, len(sight.poses))
        c["people_invented"] += max(0, len(sight.poses) - there)
        for beat in scene.scripts[0].gestures if scene.kind == "gestures" else ():
            if beat.start <= at <= beat.end and _inside(self._palms[0, beat.side][number]):
                self._hand("held", number, beat.side, sight, beat.name)
        if scene.doing(0, at) in {"talk", "count", "rare_sign"}:
            for side in SIDES:
                raised = self._palms[0, side][number]
                if _inside(raised) and raised[1] < self._heads[0][number][1] + 0.35 / raised[2]:
                    self._hand("raised", number, side, sight)

    def _hand(self, what: str, number: int, side: Side, sight: Detections, name: str | None = None) -> None:
        self._counts[what] += 1
        palm = self._palms[0, side][number][:2] * self._scene.film.size
        for hand in sight.hands:
            apart = float(np.hypot(hand.box.cx - palm[0], hand.box.cy - palm[1]))
            if apart < NEAR * hand.box.side:
                self._counts[f"{what}_found"] += 1
                if name:
                    self._counts[f"{name}_shown"] += 1
                    said = self._labels[int(hand.scores.argmax())]
                    self._counts[f"{name}_named"] += said == name
                return

    def facts(self, spent_s: float) -> dict[str, Any]:
        """Return the counts for the JSON file."""
        scene = self._scene
        return {
            "kind": scene.kind, "seed": scene.seed, **asdict(scene.film),
            "people": len(scene.actors), "seated": scene.seated, "processor_s": round(spent_s, 1),
            "activity_s": _lasted(scene), **dict(sorted(self._counts.items())),
        }  # fmt: skip


def _lasted(scene: Scene) -> dict[str, float]:
    """Seconds of each activity, of all people together."""
    lasted: Counter[str] = Counter()
    for beat in (b for script in scene.scripts for b in script.activities):
        lasted[beat.name] += max(0.0, min(beat.end, scene.film.seconds) - beat.start)  # type: ignore[assignment]
    return {name: round(seconds, 1) for name, seconds in lasted.items()}


def _inside(point: Array) -> bool:
    return bool(0.02 < point[0] < 0.98 and 0.02 < point[1] < 0.98 and point[2] > 0.2)


def part_file(folder: Path, kind: Kind, seed: int) -> Path:
    """Return the path of the trace of a part."""
    return folder / f"{kind}-{seed:04d}.jsonl"


def measure(cast: Path, out: Path, kind: Kind, parts: Iterable[int], film: Film, stop_at: float) -> None:
    """Measure missing parts one after the other; start none after `stop_at` (time.monotonic)."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from training.synthetic.scenes.picture import Painter

    out.mkdir(parents=True, exist_ok=True)
    left = [seed for seed in parts if not part_file(out, kind, seed).exists()]
    if not left:
        print(f"{out}: all these parts are there already")
        return
    eyes, painter = SceneRecognizer(), Painter(*film.size)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as bar:
        task = bar.add_task(kind, total=len(left) * film.seconds)
        for seed in left:
            if time.monotonic() > stop_at:
                break
            bar.update(task, description=f"{kind} {seed}")
            target = part_file(out, kind, seed)
            scene = Scene(cast, kind, seed, film)
            eyes.watch(scene, painter, target, lambda: bar.advance(task, 1 / film.fps))
            if kind == "gestures":
                _write_truth(target, scene)
    eyes.recognizer.close()
    if kind == "gestures":
        join_truth(out)


def _write_truth(trace: Path, scene: Scene) -> None:
    """Write the intended gestures with their times and the distance of the hand from the camera.

    A hand outside the image shows nothing to the camera and is not counted.
    """
    palms = {side: scene.palms(0, side) for side in SIDES}
    rows = []
    for beat in scene.scripts[0].gestures:
        if beat.end < scene.film.seconds:
            middle = palms[beat.side][round((beat.start + beat.end) / 2 * scene.film.fps)]
            if _inside(middle):
                rows.append(f"{trace.stem},{beat.name},{beat.start:.3f},{beat.end:.3f},{middle[2]:.2f}\n")
    trace.with_suffix(".truth").write_text("".join(rows))


def join_truth(folder: Path) -> Path:
    """Join the ground truth of all traces to one table for `tune --truth`. Returns its path."""
    with (folder / TRUTH).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("trace", "gesture", "from_s", "to_s", "metres"))
        for part in sorted(folder.glob("*.truth")):
            if part.with_suffix(".jsonl").exists():
                table.writerows(csv.reader(part.read_text().splitlines()))
    return folder / TRUTH
