"""Comparison with MediaPipe Hands and Holistic: CPU and wall milliseconds a frame on the same images.

    make bench-peers                      (installs MediaPipe in an environment of its own)
    python bench/peers.py --peers .venv/peers/bin/python [--data FOLDER] [--blocks 4]
    python bench/peers.py --scenes "two people" nobody --threads 2 --size 480 --json part.json

All takes about ten minutes; progress is on stderr. Every scene is measured by itself, so what a run that was
cut off lacks is measured with `--scenes`, `--size` and `--threads`; `--json` is written after each scene.

The peers run in a process of their own and are asked for one block of frames in turn with the agent, so
that a machine that is busy for a while is busy for all. CPU time (all threads of the process) is the steady
figure, wall time the one that somebody else's load changes; what others took of the machine is printed.

Pictures come from the demo's clip, at 15 frames a second, swaying by a few pixels: "two hands" is the half
of the person with the raised hand and its mirror image, "two people" two of them side by side, "nobody" the
room beside them. `--data` takes a photograph of a real person for "two hands" instead. The agent does what
the daemon does between camera and delivery: rest, perception, core.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from agent.capture.source import open_source
from agent.config.folders import cache_folder
from agent.config.settings import AgentSettings, CameraSettings, RecognitionSettings, Settings
from agent.core.idle_throttle import IdleThrottle
from agent.core.rules import RuleSet
from agent.core.types import Frame, Image
from agent.core.work_plan import Profile
from agent.errors import EndOfSource
from agent.inference.build import build_recognizer
from agent.pipeline import build_pipeline

ROOT = Path(__file__).parents[1]
CLIP = ROOT / "tests/data/demo.mp4"
WORKER = Path(__file__).with_name("peers_worker.py")
PHOTOGRAPH = "photos/emrecandir/palm_077.jpg"  # under --data: one person, right hand raised
FPS = 15
SIZES = ((640, 480), (1280, 720))
HAND_UP_S, HANDS_DOWN_S = 5.5, 0.3  # of the demo's clip
PEERS = ("Hands", "Holistic")
SCENES = ("two hands up", "one hand up", "hands down", "two people", "nobody", "demo clip")
CLIP_SCENE = SCENES[-1]  # at its own size only
BUSY = 0.15  # share of the machine used by others from which a warning is printed

Pictures = Sequence[Image]


@dataclass
class Spent:
    """Milliseconds a frame of every block."""

    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)


class Peers:
    """MediaPipe in its own Python process: `bench/peers_worker.py`."""

    def __init__(self, python: Path, threads: int) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "GLOG_minloglevel": "3"}
        command = [str(python), str(WORKER)]
        if threads == 1:
            command = [
                "taskset",
                "-c",
                "0",
                *command,
            ]  # its graph has a thread pool that no option limits
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=environment,
        )  # fmt: skip

    def block(self, peer: str, pictures: Path) -> tuple[float, float]:
        """Process a block; return CPU and wall milliseconds a frame."""
        into, out_of = self._process.stdin, self._process.stdout
        if into is None or out_of is None:
            raise SystemExit("no pipes to the peers")
        into.write(json.dumps({"peer": peer, "pictures": str(pictures)}) + "\n")
        into.flush()
        answer = out_of.readline()
        if not answer:
            raise SystemExit(f"{WORKER.name} ended; run it by hand to see why")
        said = json.loads(answer)
        return said["cpu_ms"], said["wall_ms"]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


class AgentUnderTest:
    """Idle throttle, perception and core, combined as in the daemon."""

    def __init__(self, recognition: RecognitionSettings, cache: Path) -> None:
        settings = Settings(recognition=recognition)
        self._recognizer = build_recognizer(recognition, cache)
        self._pipeline = build_pipeline(settings, self._recognizer.labels, RuleSet())
        self._rest = IdleThrottle(settings.idle.fps, settings.idle.after)
        self._seq = 0
        self.hands = 0.0

    def begin(self) -> None:
        """Reset all state for another scene."""
        self._recognizer.forget("bench")
        settings = Settings()
        self._rest = IdleThrottle(settings.idle.fps, settings.idle.after)

    def block(self, pictures: Pictures) -> tuple[float, float]:
        """Process a block; return CPU and wall milliseconds a frame."""
        cpu, wall, hands = time.process_time(), time.perf_counter(), 0
        for image in pictures:
            at = self._seq / FPS
            self._seq += 1
            if not self._rest.should_process(at, image):
                continue
            (detections,) = self._recognizer.recognize([Frame("bench", self._seq, at, image)])
            self._rest.note_detections(at, bool(detections.people or detections.hands))
            self._pipeline.process(detections)
            hands += len(detections.hands)
        count = len(pictures)
        self.hands = hands / count
        return (time.process_time() - cpu) * 1000 / count, (time.perf_counter() - wall) * 1000 / count

    def close(self) -> None:
        """Close the networks."""
        self._recognizer.close()


def clip() -> list[Frame]:
    """Return the whole demo clip."""
    source = open_source(CameraSettings(source=str(CLIP)), "bench", pace=False)
    source.open()
    frames = []
    try:
        while True:
            frames.append(source.read())
    except EndOfSource:
        return frames
    finally:
        source.close()


def scenes(size: tuple[int, int], frames: int, photograph: Path | None) -> dict[str, list[Image]]:
    """Return the scenes by name, the same for all programs."""
    film = clip()
    up = next(frame.image for frame in film if frame.at >= HAND_UP_S)
    down = next(frame.image for frame in film if frame.at >= HANDS_DOWN_S)
    middle = up.shape[1] // 2
    both = np.hstack([up[:, :middle], up[:, :middle][:, ::-1]])
    if photograph is not None:
        real = cv2.imread(str(photograph))
        if real is None:
            raise SystemExit(f"{photograph}: not a picture; give --data a folder that holds {PHOTOGRAPH}")
        real = cv2.resize(real, (640, 480))
        both = np.hstack([real[:, :320], real[:, :320][:, ::-1]])
    quarter = up.shape[1] // 4
    two = np.hstack([up[:, quarter : -quarter or None], up[:, quarter : -quarter or None]])
    wall = up[:, : up.shape[1] // 6]
    nobody = np.hstack([wall, wall[:, ::-1]] * 3)
    stills = {
        "two hands up": both,
        "one hand up": up,
        "hands down": down,
        "two people": two,
        "nobody": nobody,
    }
    made = {
        name: _swaying(_filmed(np.asarray(image, np.uint8), size), frames) for name, image in stills.items()
    }
    if size == SIZES[0]:
        made[CLIP_SCENE] = [_filmed(frame.image, size) for frame in film]
    return made


def _filmed(image: Image, size: tuple[int, int]) -> Image:
    """Scale the frame to this size with borders in proportion."""
    width, height = size
    scale = min(height / image.shape[0], width / image.shape[1])
    scaled = cv2.resize(
        image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )
    high, wide = height - scaled.shape[0], width - scaled.shape[1]
    sides = high // 2, high - high // 2, wide // 2, wide - wide // 2
    return np.asarray(cv2.copyMakeBorder(scaled, *sides, cv2.BORDER_REPLICATE), np.uint8)


def _swaying(image: Image, count: int) -> list[Image]:
    """Yield frames shifted by a few pixels, with camera noise."""
    rng = np.random.default_rng(0)
    noise = rng.integers(-3, 4, image.shape, np.int16)
    moved = []
    for seq in range(count):
        sway = np.array([[1, 0, 6 * math.sin(seq / 5)], [0, 1, 4 * math.cos(seq / 7)]], np.float32)
        picture = cv2.warpAffine(image, sway, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        moved.append(np.clip(picture + np.roll(noise, 7 * seq, axis=1), 0, 255).astype(np.uint8))
    return moved


def measure(
    agent: AgentUnderTest, peers: Peers | None, pictures: Pictures, blocks: int, folder: Path
) -> tuple[dict[str, Spent], float, float]:
    """Measure every program; return times, hands per frame, and the share of the machine used by others."""
    stored = folder / "pictures.npy"
    np.save(stored, np.stack(pictures))
    runs: dict[str, Callable[[], tuple[float, float]]] = {"agent": lambda: agent.block(pictures)}
    if peers:
        runs |= {peer: partial(peers.block, peer, stored) for peer in PEERS}
    agent.begin()
    for run in runs.values():
        run()  # warm-up: find everything in the scene
    began, total = time.perf_counter(), psutil.cpu_times()
    ours = 0.0
    spent = {name: Spent() for name in runs}
    for _ in range(blocks):
        for name, taken in spent.items():
            cpu, wall = runs[name]()
            taken.cpu_ms.append(cpu)
            taken.wall_ms.append(wall)
            ours += cpu * len(pictures) / 1000
    passed, after = time.perf_counter() - began, psutil.cpu_times()
    busy = sum(after[:3]) - sum(total[:3])
    others = max(busy - ours, 0.0) / (passed * (psutil.cpu_count() or 1))
    return spent, agent.hands, others


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--peers", type=Path, help="Python that has mediapipe; without it the agent alone")
    options.add_argument(
        "--data", type=Path, help=f"folder that holds {PHOTOGRAPH}: a real person with two hands up"
    )
    options.add_argument("--blocks", type=int, default=3)
    options.add_argument("--frames", type=int, default=90, help="of a block")
    options.add_argument("--threads", type=int, nargs="*", default=[2, 1])
    options.add_argument("--size", type=int, choices=(480, 720), help="only this height")
    options.add_argument("--scenes", nargs="*", choices=SCENES, default=SCENES, help="only these")
    options.add_argument("--profile", choices=get_args(Profile), default="balanced", help="of the agent")
    options.add_argument("--json", type=Path, help="write the figures here too")
    given = options.parse_args()
    cache = cache_folder(AgentSettings(), os.environ)
    photograph = given.data / PHOTOGRAPH if given.data else None
    console, busiest, rows = Console(width=150), 0.0, []
    columns = (
        "threads",
        "size",
        "picture",
        "hands",
        "agent",
        "Hands",
        "Holistic",
        "/ Hands",
        "/ Holistic",
        "others",
    )
    table = Table(*columns, title="CPU ms a frame (wall ms), median of the blocks")
    sizes = [size for size in SIZES if given.size in {None, size[1]}]
    wanted = [
        (threads, size, name)
        for threads in given.threads
        for size in sizes
        for name in given.scenes
        if name != CLIP_SCENE or size == SIZES[0]
    ]
    if not wanted:
        raise SystemExit(f'nothing to measure: "{CLIP_SCENE}" has {SIZES[0][1]} rows only; leave --size out')
    progress = tqdm(total=len(wanted), unit="scene", file=sys.stderr)
    for threads in given.threads:
        cv2.setNumThreads(threads)
        peers = Peers(given.peers, threads) if given.peers else None
        agent = AgentUnderTest(RecognitionSettings(threads=threads, profile=given.profile), cache)
        for size in sizes:
            made = scenes(size, given.frames, photograph)
            for name in (name for each, of, name in wanted if (each, of) == (threads, size)):
                progress.set_description(f"{name}, {size[0]} x {size[1]}, {threads} threads")
                with tempfile.TemporaryDirectory() as folder:
                    spent, hands, others = measure(agent, peers, made[name], given.blocks, Path(folder))
                busiest = max(busiest, others)
                rows.append(_row(f"{threads}", size, name, spent, hands) | {"others": others})
                table.add_row(*_cells(rows[-1]))
                if given.json:
                    given.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
                progress.update()
        agent.close()
        if peers:
            peers.close()
    progress.close()
    console.print(table)
    if busiest > BUSY:
        console.print(
            f"The machine was busy: others took up to {busiest:.0%} of it; trust CPU ms and ratios only."
        )


def _row(
    threads: str, size: tuple[int, int], name: str, spent: Mapping[str, Spent], hands: float
) -> dict[str, object]:
    medians = {who: (float(np.median(s.cpu_ms)), float(np.median(s.wall_ms))) for who, s in spent.items()}
    return {
        "threads": threads,
        "size": size,
        "picture": name,
        "hands": hands,
        "ms": medians,
    }


def _cells(row: Mapping[str, object]) -> list[str]:
    ms: Mapping[str, tuple[float, float]] = row["ms"]  # type: ignore[assignment]
    size: tuple[int, int] = row["size"]  # type: ignore[assignment]
    cells = [f"{cpu:.1f} ({wall:.1f})" for cpu, wall in ms.values()] + ["-"] * (3 - len(ms))
    ratios = [f"{ms['agent'][0] / cpu:.2f}" for who, (cpu, _) in ms.items() if who != "agent"] or ["-", "-"]
    where = [str(row["threads"]), f"{size[0]} x {size[1]}", str(row["picture"]), f"{row['hands']:.2f}"]
    return [*where, *cells, *ratios, f"{row['others']:.0%}"]


if __name__ == "__main__":
    main()
