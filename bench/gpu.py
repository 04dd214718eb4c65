"""Everything that needs an NVIDIA GPU, in one go, with a report.

    python bench/gpu.py --out report                 all of it, less than ten minutes
    python bench/gpu.py --out report --minutes 60    an hour of frames at the end
    python bench/gpu.py --networks gesturenet        one network only

What it does, each part going on when another failed: names the machine; runs the tests that wait for a GPU;
builds plans of all networks in every precision; compares them with ONNX Runtime; compares the kernels with
OpenCV; measures networks, uploads and the whole loop, with and without CUDA graphs; feeds frames for some
minutes and watches the device's memory. What has not begun when the time is over is left out, and the report
says so; what hangs ends the program, and the report says which part it was. Exit 0: all went well; 1: the
report says what did not; 3: no GPU here.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import platform
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from agent.commands.bench_measure import Task, frames_of, measure_loop, measure_network
from agent.config.folders import cache_folder
from agent.config.settings import AgentSettings, RecognitionSettings, TensorRtSettings
from agent.core.frame_memory import FrameMemory, OrdinaryFrameMemory
from agent.core.nv12 import Nv12Image
from agent.core.types import Box, Floats, Frame, Image, Pixels
from agent.errors import GestureAgentError
from agent.inference.build import build_recognizer
from agent.inference.crops import cut, fill_batch, letterbox
from agent.inference.engine import EngineOptions, load_engine
from agent.inference.manifest import Input, load_manifest
from agent.inference.models import find
from agent.inference.trt.availability import tensorrt_availability
from agent.inference.trt.driver import find_gpu
from agent.inference.trt.engine import TensorRtEngine
from agent.inference.trt.gpu_context import default_context
from agent.inference.trt.gpu_cropper import GpuCropper

ROOT = Path(__file__).parents[1]
CLIP = ROOT / "tests" / "data" / "demo.mp4"
NETWORKS = (
    "pose-detector", "pose-landmark", "palm-detector", "hand-landmark", "gesturenet-landmark", "gesturenet",
    "gesturenet-ensemble",
)  # fmt: skip
GESTURES = RecognitionSettings().gestures
OF_HANDS = ("hand-landmark", "gesturenet-landmark", "gesturenet")  # INT8 without pictures of the user's own
PACKAGES = (
    "gesture-agent", "cuda-bindings", "pycuda", "onnxruntime", "onnx", "numpy", "opencv-python-headless",
)  # fmt: skip
AIM_PER_S, AIM_MS = 10_000.0, 2.0  # GestureNet FP16 batch 1; the whole loop at 1280 x 720
HANGS_S = 120.0  # beyond the limit: a part that goes on for so long hangs
LEAK_BYTES = 8_000_000  # more than this over the whole soak is growth

Lines = list[str]
LEFT_OUT: Lines = ["FAILED: left out, the time was over; give --limit more minutes"]


@dataclass
class Report:
    """What is written at the end, and after each part."""

    folder: Path
    until: float = float("inf")  # by the monotonic clock: nothing begins later
    parts: list[tuple[str, str, Lines]] = field(default_factory=list)  # title, "ok" or "failed", text
    data: dict[str, Any] = field(default_factory=dict)

    def part(self, title: str, work: Callable[[], tuple[Lines, Any]]) -> None:
        """Do it, keep what it says; a failure is a line of the report."""
        print(f"{title} ...", flush=True)
        self.parts.append((title, "did not end", ["FAILED: it hung, or something ended the program"]))
        self.write()
        began = time.monotonic()
        try:
            lines, self.data[title] = work() if began < self.until else (LEFT_OUT, None)
            state = "failed" if any(line.startswith("FAILED") for line in lines) else "ok"
        except (GestureAgentError, Exception) as exc:  # noqa: BLE001 (the next part may still work)
            lines, state = [f"FAILED: {exc}", "```", traceback.format_exc().strip(), "```"], "failed"
        self.parts[-1] = (f"{title} ({time.monotonic() - began:.0f} s)", state, lines)
        print("\n".join([*lines, ""]), flush=True)
        self.write()

    def write(self) -> None:
        """Markdown for people, JSON for programs."""
        text = ["# GPU report", ""]
        for title, state, lines in self.parts:
            text += [f"## {title}: {state}", "", *lines, ""]
        (self.folder / "report.md").write_text("\n".join(text), encoding="utf-8")
        (self.folder / "report.json").write_text(
            json.dumps(self.data, indent=1, default=str), encoding="utf-8"
        )


def machine(cache: Path) -> tuple[Lines, Any]:
    """GPU, driver, libraries."""
    gpu, context = find_gpu(), default_context(cache)
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            packages[name] = "not as a package"
    facts = {
        "gpu": gpu.label,
        "memory_bytes": gpu.memory_bytes,
        "multiprocessors": gpu.multiprocessors,
        "power mode": gpu.power_mode or "none",
        "clocks and power": smi("clocks.sm,clocks.max.sm,power.draw,power.limit,driver_version"),
        "through": type(context.device).__name__,
        "driver speaks CUDA": ".".join(map(str, gpu.cuda)),
        "library": context.library.label,
        "python": platform.python_version(),
        "system": platform.platform(),
        "board": first_line_of(Path("/proc/device-tree/model")),
        "Jetson Linux": first_line_of(Path("/etc/nv_tegra_release")),
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        **packages,
    }
    return [f"- {name}: {value}" for name, value in facts.items()], facts


def first_line_of(file: Path) -> str:
    """Of a file of the system; "none" where it is not there."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return "none"
    return text.splitlines()[0] if text else "none"


def smi(what: str) -> str:
    """What nvidia-smi says; a Jetson's has less to say."""
    try:
        words = ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader"]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as exc:
        return f"nvidia-smi: {exc}"
    return " ".join((done.stdout or done.stderr).split())


def tests() -> tuple[Lines, Any]:
    """Those that are skipped without a GPU."""
    files = ["tests/inference/test_engine.py", "tests/inference/trt/test_on_gpu.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-rfEs", "--timeout", "900", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180)
    tail = done.stdout.strip().splitlines()[-25:]
    return [
        f"{'FAILED' if done.returncode else 'passed'}: {' '.join(command[2:])}",
        "```",
        *tail,
        "```",
    ], tail[-1:]


def agreement(cache: Path, networks: Sequence[str]) -> tuple[Lines, Any]:
    """The largest difference from ONNX Runtime, of every output, network and precision."""
    rows: list[tuple[str, str, str, float, float, float]] = []
    failed: Lines = []
    for name in networks:
        with told(name, failed):
            manifest, path = load_manifest(name), find(name, cache).path
            feed = real_feed(manifest.input, 3)
            expected = load_engine(name, path, backend="onnxruntime").run(feed)
        if failed and failed[-1].startswith(f"FAILED: {name}:"):
            continue
        for precision in precisions_of(name):
            options = EngineOptions(cache, TensorRtSettings(precision=precision), manifest)  # type: ignore[arg-type]
            with told(f"{name} {precision}", failed):
                began = time.monotonic()
                engine = TensorRtEngine(name, path, options=options)
                loaded_s = time.monotonic() - began
                found = engine.run(feed)
                engine.close()
                for output, array in expected.items():
                    apart = float(np.abs(found[output] - array).max())
                    rows.append((name, precision, output, apart, float(np.abs(array).max()), loaded_s))
    lines = [
        "| network | precision | output | max abs error | largest value | built and loaded, s |",
        "|---|---|---|---|---|---|",
    ]
    lines += [f"| {n} | {p} | {o} | {e:.5f} | {m:.3f} | {s:.1f} |" for n, p, o, e, m, s in rows]
    lines += [
        f"FAILED: {n} {p} {o}: {e:.4f} is more than 2 % of {m:.3f}"
        for n, p, o, e, m, _ in rows
        if (p == "fp32" and e > 0.002 * max(m, 1))
        or (p == "fp16" and e > 0.02 * max(m, 1))
        or not np.isfinite(e)
    ]
    return [*lines, *failed], rows


def precisions_of(name: str) -> tuple[str, ...]:
    """Those that a network is tried in."""
    return ("fp32", "fp16", "int8") if name in OF_HANDS else ("fp32", "fp16")


@contextmanager
def told(what: str, failed: Lines) -> Iterator[None]:
    """Each network on its own: one that fails is a line of the report, and the next is tried."""
    try:
        yield
    except (GestureAgentError, Exception) as exc:  # noqa: BLE001 (whatever a driver may raise)
        failed.append(f"FAILED: {what}: {exc}")


def real_feed(spec: Input, count: int) -> dict[str, Floats]:
    """Frames of the clip as a network's input."""
    images = [frame.image for frame in frames_of(str(CLIP))[: 30 * count : 30]]
    feed = {spec.name: fill_batch([cut(image, letterbox(image), spec.size) for image in images], spec)}
    if spec.angle:
        feed[spec.angle] = np.zeros((len(images), 1), np.float32)
    return feed


def kernels(cache: Path) -> tuple[Lines, Any]:
    """Cuts on the device against OpenCV, in grey levels of 255; and how long one takes."""
    context = default_context(cache)
    rng = np.random.default_rng(0)
    scene = np.asarray(cv2.resize(frames_of(str(CLIP))[0].image, (1280, 720)), np.uint8)
    noise = rng.integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    spec = Input(name="x", shape=("N", 3, 224, 224), offset=0.0, scale=1.0)
    rows = []
    images: list[tuple[str, Pixels]] = [("scene", scene), ("noise", noise), ("scene in NV12", nv12_of(scene))]
    for title, image in images:
        boxes = [letterbox(image)]
        boxes += [Box(*map(float, rng.uniform((0, 0, 20, -3), (1280, 720, 700, 3)))) for _ in range(7)]
        found, ms = on_device(context, image, boxes, spec)
        apart = np.abs(found - fill_batch([cut(image, box, spec.size) for box in boxes], spec))
        rows.append((title, len(boxes), float(apart.max()), float(apart.mean()), ms))
    lines = [
        f"- {t}: {n} cuts of 1280 x 720, differ by at most {m:.2f}, on average {a:.4f}; {ms:.3f} ms"
        for t, n, m, a, ms in rows
    ]
    limit = 1.01 if int(cv2.__version__.split(".")[0]) >= 5 else 9.0
    limits = {t: limit + ("NV12" in t) for t, *_ in rows}  # its conversion rounds, too
    lines += [
        f"FAILED: {t} differs by {m:.2f}, allowed are {limits[t]}" for t, _, m, _, _ in rows if m > limits[t]
    ]
    return lines, rows


def nv12_of(image: Image, memory: FrameMemory | None = None) -> Nv12Image:
    """An image of even size as a decoder would have written it, in memory that was given out."""
    height, width = image.shape[:2]
    planes = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)
    colours = planes[height:].reshape(2, height // 2, width // 2).transpose(1, 2, 0)
    data = (memory or OrdinaryFrameMemory()).new(planes.size).reshape(-1, width)
    data[:height], data[height:] = planes[:height], colours.reshape(-1, width)
    return Nv12Image(data, height, width)


def on_device(context: Any, image: Pixels, boxes: Sequence[Box], spec: Input) -> tuple[Floats, float]:
    """All cuts, and the milliseconds of one launch without the upload."""
    with context.device.current():
        height, width = spec.size
        result = np.zeros((len(boxes), 3, height, width), np.float32)
        target, stream = context.device.memory(result.nbytes), context.device.stream()
        cutter = GpuCropper(context.device, len(boxes))
        context.uploads.new_frames()
        for attempt in range(21):
            upload = context.uploads.upload(image, stream)
            stream.synchronize()
            if attempt == 1:
                began = time.perf_counter()
            cutter.write(0, upload, boxes, spec)
            cutter.launch(len(boxes), spec, target=target, stream=stream)
            stream.synchronize()
        ms = (time.perf_counter() - began) * 1000 / 20
        context.device.download(result, target, stream)
        stream.synchronize()
        cutter.close()
        target.free()
    return result, ms


def uploads(cache: Path, seconds: float) -> tuple[Lines, Any]:
    """A frame on its way to the device: as decoders give it, and as a pipe is read on a GPU."""
    context = default_context(cache)
    scene = np.asarray(cv2.resize(frames_of(str(CLIP))[0].image, (1280, 720)), np.uint8)
    rows: list[tuple[str, float]] = []
    with context.device.current():
        stream, cache_of_frames = context.device.stream(), context.uploads
        direct = cache_of_frames.frames.new(1280 * 720 * 4).reshape(720, 1280, 4)
        direct[..., :3] = scene

        def upload(image: Pixels) -> None:
            cache_of_frames.new_frames()
            cache_of_frames.upload(image, stream)
            stream.synchronize()

        images: list[tuple[str, Pixels]] = [
            ("BGR, ordinary", scene),
            ("BGRx, page-locked", direct[..., :3]),
            ("NV12, page-locked", nv12_of(scene, cache_of_frames.frames)),
        ]
        for title, image in images:
            rows.append((title, timed(partial(upload, image), seconds)))
    return [f"- 1280 x 720, {title} memory: {ms:.3f} ms" for title, ms in rows], rows


def table(cache: Path, networks: Sequence[str], seconds: float) -> tuple[Lines, Any]:
    """Networks by backend, precision and batch."""
    rows = []
    failed: Lines = []
    for name in networks:
        tasks = [Task(name, gpu_settings(p), n) for p in precisions_of(name) for n in (1, 2, 8)]
        for task in (*tasks, Task(name, RecognitionSettings(backend="onnxruntime"))):
            with told(f"{name} {task.recognition.tensorrt.precision} batch {task.batch}", failed):
                rows.append(measure_network(task, cache, seconds, _quiet))
    lines = [*show(rows), *failed]
    for row in rows:
        if (row.what, row.backend, row.precision, row.batch) == ("gesturenet", "tensorrt", "fp16", 1):
            met = "met" if row.per_second > AIM_PER_S else "missed"
            lines.append(
                f"\nAim of {AIM_PER_S:.0f} images/s of GestureNet FP16 batch 1: {met} ({row.per_second:.0f})."
            )
    return lines, [vars_of(row) for row in rows]


def loops(cache: Path, gestures: str, seconds: float) -> tuple[Lines, Any]:
    """The whole loop at two sizes, frames cut on the GPU (from BGR, from NV12) and on the CPU."""
    rows = []
    failed: Lines = []
    for size in ((640, 480), (1280, 720)):
        frames = resized(size)
        decoded = [replace(frame, pixels=nv12_of(frame.image)) for frame in frames]
        on_gpu, on_cpu = (gpu_settings("fp16", where, gestures) for where in ("gpu", "cpu"))
        for where, given, recognition in (
            ("gpu", frames, on_gpu),
            ("gpu, NV12", decoded, on_gpu),
            ("cpu", frames, on_cpu),
            ("cpu", frames, RecognitionSettings(backend="onnxruntime", gestures=gestures)),
        ):
            with told(f"{size[0]} x {size[1]}, {recognition.backend}, frames cut on the {where}", failed):
                rows.append((where, measure_loop(Task(None, recognition), cache, given, seconds, _quiet)))
    lines = ["| loop | backend | frames cut on | frames/s | p50 ms | p99 ms |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {r.what} | {r.backend} | {w} | {r.per_second:.0f} | {r.p50_ms:.2f} | {r.p99_ms:.2f} |"
        for w, r in rows
    ]
    best = next((r for w, r in rows if w == "gpu" and "1280" in r.what), None)
    if best is not None:
        met = "met" if best.p50_ms < AIM_MS else "missed"
        lines.append(f"\nAim of {AIM_MS} ms a frame at 1280 x 720: {met} ({best.p50_ms:.2f} ms p50).")
    return [*lines, *failed], [(where, vars_of(row)) for where, row in rows]


def graphs(cache: Path, seconds: float) -> tuple[Lines, Any]:
    """Runs replayed as CUDA graphs beside the same runs without: median milliseconds of a run."""
    device = default_context(cache).device
    rows: list[tuple[str, bool, int, float]] = []
    failed: Lines = []
    for name in ("gesturenet", "pose-landmark"):
        for captures in (True, False):
            with told(f"{name}, graphs = {str(captures).lower()}", failed):
                settings = TensorRtSettings(graphs=captures)
                manifest = load_manifest(name)
                options = EngineOptions(cache, settings, manifest)
                engine = TensorRtEngine(name, find(name, cache).path, options=options)
                feed = real_feed(manifest.input, 1)
                ms = timed(partial(engine.run, feed), seconds)
                session = engine._session  # noqa: SLF001 (whether it was captured, nobody else asks)
                rows.append((name, captures, session.captured if session else 0, ms))
                engine.close()
    lines = [f"- through {type(device).__name__}"]
    lines += [
        f"- {name}, batch 1, graphs = {str(asked).lower()}: {ms:.3f} ms ({number} kinds of runs captured)"
        for name, asked, number, ms in rows
    ]
    return [*lines, *failed], rows


def timed(run: Callable[[], object], seconds: float) -> float:
    """Median milliseconds, the first twenty runs left out."""
    times: list[float] = []
    until = time.monotonic() + seconds
    while len(times) < 40 or time.monotonic() < until:
        began = time.perf_counter()
        run()
        times.append((time.perf_counter() - began) * 1000)
    return float(np.median(times[20:]))


def soak(cache: Path, gestures: str, minutes: float) -> tuple[Lines, Any]:
    """Frames as fast as they go; free device memory every half minute, or four times."""
    context = default_context(cache)
    recognizer = build_recognizer(gpu_settings("fp16", gestures=gestures), cache)
    endless = cycled(resized((1280, 720)))
    seen: list[tuple[float, int, int]] = []
    every_s = min(30.0, minutes * 60 / 4)
    began, frames, due = time.monotonic(), 0, min(5.0, every_s)  # before it, what is allocated once
    while (now := time.monotonic() - began) < minutes * 60:
        recognizer.recognize([next(endless)])
        frames += 1
        if now >= due:
            due += every_s
            with context.device.current():
                seen.append((now, frames, context.device.free_bytes()))
    recognizer.close()
    if len(seen) < 2:
        return ["FAILED: too short to say anything; give more --minutes"], seen
    grown = seen[0][2] - seen[-1][2]
    lines = [f"- {frames:,} frames in {minutes:g} minutes; device memory in use grew by {grown / 1e6:.2f} MB"]
    return lines + (["FAILED: device memory grows"] if grown > LEAK_BYTES else []), seen


def gpu_settings(precision: str, frames: str = "gpu", gestures: str = GESTURES) -> RecognitionSettings:
    """TensorRT at a precision."""
    return RecognitionSettings.model_validate(
        {"backend": "tensorrt", "gestures": gestures, "tensorrt": {"precision": precision, "frames": frames}}
    )


def resized(size: tuple[int, int]) -> list[Frame]:
    """The clip at another size."""
    return [
        Frame(f.camera, f.seq, f.at, np.asarray(cv2.resize(f.image, size), np.uint8))
        for f in frames_of(str(CLIP))
    ]


def cycled(frames: Sequence[Frame]) -> Iterator[Frame]:
    """Forwards and backwards for ever, time going on."""
    seq = 0
    while True:
        for frame in (*frames, *frames[-2:0:-1]):
            yield Frame(frame.camera, seq, seq / 15, frame.pixels)
            seq += 1


def show(rows: Sequence[Any]) -> Lines:
    """A table in Markdown."""
    head = [
        "| network | backend | precision | batch | images/s | p50 ms | p99 ms |",
        "|---|---|---|---|---|---|---|",
    ]
    return head + [
        f"| {r.what} | {r.backend} | {r.precision} | {r.batch} | {r.per_second:.0f} | {r.p50_ms:.3f} "
        f"| {r.p99_ms:.3f} |"
        for r in rows
    ]


def vars_of(row: Any) -> Mapping[str, Any]:
    """A row as JSON wants it."""
    return {name: getattr(row, name) for name in row.__slots__}


def _quiet(_seconds: float) -> None:
    """No bar."""


def main() -> int:
    """Run it."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--out", type=Path, default=Path("gpu-report"))
    options.add_argument("--minutes", type=float, default=2.0, help="of frames at the end")
    options.add_argument("--seconds", type=float, default=3.0, help="for each line of the tables")
    options.add_argument("--limit", type=float, default=7.0, help="minutes after which nothing more begins")
    options.add_argument("--networks", type=lambda text: text.split(","), default=NETWORKS, help="A,B,...")
    options.add_argument("--gestures", default=GESTURES, help="classifier of the whole loop")
    given = options.parse_args()
    here = tensorrt_availability()
    if not here.usable:
        print(f"No GPU to run on: {here.why}; {here.todo}", file=sys.stderr)
        return 3
    given.out.mkdir(parents=True, exist_ok=True)
    cache = cache_folder(AgentSettings(), os.environ)
    report = Report(given.out, time.monotonic() + given.limit * 60)
    faulthandler.dump_traceback_later((given.limit + given.minutes) * 60 + HANGS_S, exit=True)
    report.part("machine", lambda: machine(cache))
    report.part("tests", tests)
    report.part("agreement with ONNX Runtime", lambda: agreement(cache, given.networks))
    report.part("kernels against OpenCV", lambda: kernels(cache))
    report.part("uploads", lambda: uploads(cache, given.seconds))
    report.part("networks", lambda: table(cache, given.networks, given.seconds))
    report.part("whole loop", lambda: loops(cache, given.gestures, given.seconds))
    report.part("CUDA graphs", lambda: graphs(cache, given.seconds))
    report.part("soak", lambda: soak(cache, given.gestures, given.minutes))
    print(f"report: {given.out / 'report.md'}")
    return 1 if any(state == "failed" for _, state, _ in report.parts) else 0


if __name__ == "__main__":
    sys.exit(main())
