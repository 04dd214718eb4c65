"""Measurement of networks and of the whole pipeline for `gesture-agent bench`."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.capture.source import open_source, public_name, settings_of
from agent.config.settings import RecognitionSettings
from agent.core.types import Floats, Frame
from agent.errors import ConfigError, EndOfSource, SourceLost
from agent.inference.build import build_recognizer
from agent.inference.engine import Engine, EngineOptions, load_engine
from agent.inference.files.formats import number_format
from agent.inference.files.store import find, manifest_of
from agent.inference.manifest import Manifest
from agent.inference.models import engines_of

WARM_UP = 5  # warm-up runs: memory is allocated, kernels are chosen
AT_LEAST = 20  # minimum runs, however short the time: needed for a p99
FRAMES = 150  # frames of a clip, kept in memory

Step = Callable[[float], None]  # called with the seconds since the last call


@dataclass(frozen=True, slots=True)
class BenchResult:
    """One row of the table. `per_second` counts images, or frames for the whole pipeline."""

    what: str
    backend: str
    precision: str
    batch: int
    per_second: float
    p50_ms: float
    p99_ms: float
    runs: int


@dataclass(frozen=True, slots=True)
class Task:
    """One network on one backend, or the whole pipeline where `network` is None."""

    network: str | None
    recognition: RecognitionSettings
    batch: int = 1


def device_name(backend: str) -> str:
    """Return the name of the device that a backend runs on."""
    if backend == "tensorrt":
        from agent.inference.trt.driver import find_gpu

        return find_gpu().label
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return f"{models[0] if models else platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def measure_network(task: Task, cache_dir: Path, seconds: float, step: Step) -> BenchResult:
    """Time runs of random images, host memory to host memory. Raises `CannotStart`."""
    assert task.network  # noqa: S101 (a task of a network)
    manifest = manifest_of(task.network, cache_dir)
    recognition = task.recognition
    options = EngineOptions(cache_dir, recognition.tensorrt, manifest)
    path = find(task.network, cache_dir).path
    engine = load_engine(
        task.network, path, backend=recognition.backend, threads=recognition.threads, options=options
    )
    try:
        feed = _feed(engine, manifest, task.batch)
        times = _timed(lambda: engine.run(feed), seconds, step)
    finally:
        engine.close()
    return _row(task, task.network, times, task.batch, cache_dir)


def measure_loop(
    task: Task, cache_dir: Path, frames: Sequence[Frame], seconds: float, step: Step
) -> BenchResult:
    """Time the pipeline from frame to gesture probabilities: poses, crops, classifier, decoding; no camera.

    Raises `CannotStart`.
    """
    recognizer = build_recognizer(task.recognition, cache_dir)
    try:
        endless = _again(frames)
        times = _timed(lambda: recognizer.recognize([next(endless)]), seconds, step)
    finally:
        recognizer.close()
    height, width = frames[0].height, frames[0].width
    return _row(task, f"whole loop, {width} x {height}", times, 1, cache_dir)


def frames_of(source: str) -> list[Frame]:
    """Return the first frames of a clip, decoded. Raises `ConfigError`."""
    opened = open_source(settings_of(source), "bench", pace=False)
    frames: list[Frame] = []
    try:
        opened.open()
        while len(frames) < FRAMES:
            frames.append(opened.read())
    except EndOfSource:
        pass
    except SourceLost as exc:
        raise ConfigError(str(exc)) from exc
    finally:
        opened.close()
    if not frames:
        raise ConfigError(f"{public_name(source)}: it holds no frame")
    return frames


def _again(frames: Sequence[Frame]) -> Iterator[Frame]:
    """The clip forwards and backwards for ever, so that motion stays continuous; time goes on."""
    step = max((frames[-1].at - frames[0].at) / max(len(frames) - 1, 1), 1e-3)
    order = [*frames, *frames[-2:0:-1]]
    seq = 0
    while True:
        for frame in order:
            yield Frame(frame.camera, seq, seq * step, frame.pixels)
            seq += 1


def _feed(engine: Engine, manifest: Manifest, batch: int) -> dict[str, Floats]:
    rng = np.random.default_rng(0)
    low = -manifest.input.offset * manifest.input.scale
    high = (255 - manifest.input.offset) * manifest.input.scale
    feed = {}
    for name, shape in engine.inputs.items():
        count = shape[0] if isinstance(shape[0], int) else batch
        feed[name] = rng.uniform(low, high, (count, *map(int, shape[1:]))).astype(np.float32)
    return feed


def _timed(run: Callable[[], object], seconds: float, step: Step) -> list[float]:
    """Run times in milliseconds."""
    for _ in range(WARM_UP):
        run()
    times: list[float] = []
    began = told = time.perf_counter()
    while (now := time.perf_counter()) - began < seconds or len(times) < AT_LEAST:
        run()
        times.append((time.perf_counter() - now) * 1000)
        if now - told > 0.1:
            step(now - told)
            told = now
    return times


def _row(task: Task, what: str, times: list[float], pictures: int, cache_dir: Path) -> BenchResult:
    p50, p99 = (float(np.percentile(times, q)) for q in (50, 99))
    per_second = pictures * len(times) / (sum(times) / 1000)
    precision = _precision(task, cache_dir)
    return BenchResult(what, task.recognition.backend, precision, pictures, per_second, p50, p99, len(times))


def _precision(task: Task, cache_dir: Path) -> str:
    """Precision set for TensorRT; ONNX Runtime uses the precision of the file."""
    if task.recognition.backend == "tensorrt":
        return task.recognition.tensorrt.precision
    names = [task.network] if task.network else engines_of(task.recognition)
    return ", ".join(sorted({number_format(find(name, cache_dir).path) for name in names}))
