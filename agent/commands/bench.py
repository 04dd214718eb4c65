"""`gesture-agent bench`: speed of the networks and of the whole pipeline on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.commands.models import make_ready
from agent.commands.options import AsJson, ConfigFile, duration, examples, loaded
from agent.commands.output import echo_json, echo_table, quiet_logs, warn

if TYPE_CHECKING:
    from pathlib import Path

    from agent.commands.bench_measure import BenchResult, Task
    from agent.config.settings import RecognitionSettings

EPILOG = examples(
    "gesture-agent bench",
    "gesture-agent bench --backend tensorrt --precision fp16 --precision int8 --batch 1 --batch 8",
    "gesture-agent bench --seconds 1 --no-loop --json | jq -r '.rows[] | [.what, .per_second] | @tsv'",
)
REFERENCE = "gesturenet"  # the network of NVIDIA's table: speed does not depend on the weights
PUBLISHED = (  # NVIDIA's model card of GestureNet, April 2023: trtexec, FP16, batch 1, images a second
    ("Jetson Nano", 79),
    ("Jetson Xavier NX", 111),
    ("Jetson AGX Xavier", 481),
    ("T4", 1227),
)


class Backend(str, Enum):
    """Runtime for networks."""

    onnxruntime = "onnxruntime"
    tensorrt = "tensorrt"


class Precision(str, Enum):
    """Number formats of TensorRT."""

    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", help="Measure only these networks.", show_default="the settings', gesturenet"
        ),
    ] = None,
    backend: Annotated[
        list[Backend] | None, typer.Option(help="May be repeated.", show_default="all that work here")
    ] = None,
    precision: Annotated[
        list[Precision] | None,
        typer.Option(
            help="Precision of TensorRT; may be repeated.", show_default="recognition.tensorrt.precision"
        ),
    ] = None,
    batch: Annotated[
        list[int] | None,
        typer.Option(help="Images per run; may be repeated.", min=1, max=64, show_default="1, 2, 8"),
    ] = None,
    seconds: Annotated[
        str, typer.Option(help="Measuring time for each row of the table.", metavar="TIME")
    ] = "2s",
    loop: Annotated[bool, typer.Option(help="Measure the whole pipeline too.")] = True,
    source: Annotated[
        str | None, typer.Option(help="Clip for the whole pipeline.", show_default="the rendered clip")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Measure every network and the whole pipeline on this machine, by backend.

    Networks: random images, host memory to host memory, copies included. Whole loop: from a frame to the
    gesture probabilities. Stop other load first. Figures published by NVIDIA are shown for comparison.
    """
    from agent.commands.bench_measure import device_name, frames_of, measure_loop, measure_network

    quiet_logs()
    settings = loaded(config).settings
    cache = make_ready(settings)
    recognitions = _recognitions(settings.recognition, backend, precision)
    tasks = _tasks(recognitions, _networks(settings.recognition, names), batch or [1, 2, 8], cache)
    clip = _clip(source) if loop and not names else None
    frames = frames_of(clip) if clip else []
    loops = _loops(recognitions) if frames else []
    each = duration(seconds)
    rows: list[BenchResult] = []
    with _progress((len(tasks) + len(loops)) * each) as (say, step):
        for task in tasks:
            say(f"{task.network}, {task.recognition.backend}, batch {task.batch}")
            rows.append(measure_network(task, cache, each, step))
        for task in loops:
            say(f"whole loop, {task.recognition.backend}")
            rows.append(measure_loop(task, cache, frames, each, step))
    devices: dict[str, str] = {r.backend: device_name(r.backend) for r in recognitions}
    if as_json:
        published = [
            {"what": REFERENCE, "device": device, "precision": "fp16", "batch": 1, "per_second": n}
            for device, n in PUBLISHED
        ]
        echo_json({"devices": devices, "rows": [asdict(row) for row in rows], "published": published})
        return
    _show(rows, devices, settings.recognition.threads)


def _recognitions(
    recognition: RecognitionSettings, backends: list[Backend] | None, precisions: list[Precision] | None
) -> list[RecognitionSettings]:
    """One recognition setting for every backend and precision to measure."""
    from agent.inference.trt.availability import tensorrt_availability

    here = tensorrt_availability()
    wanted = [b.value for b in backends or ()] or ["onnxruntime", *(["tensorrt"] if here.usable else [])]
    if not backends and not here.usable:
        warn(f"TensorRT is skipped: {here.why}")
    found = []
    for name in wanted:
        own = recognition.model_copy(update={"backend": name})
        formats = [p.value for p in precisions or ()] if name == "tensorrt" else []
        for value in formats or [own.tensorrt.precision]:
            tensorrt = own.tensorrt.model_copy(update={"precision": value, "fallback": False})
            found.append(own.model_copy(update={"tensorrt": tensorrt}))
    return found


def _networks(recognition: RecognitionSettings, names: list[str] | None) -> list[str]:
    from agent.inference.models import engines_of

    return list(dict.fromkeys(names or [*engines_of(recognition), REFERENCE]))


def _tasks(
    recognitions: list[RecognitionSettings], networks: list[str], batches: list[int], cache: Path
) -> list[Task]:
    """Tasks for each network; one with a fixed batch size is measured at that."""
    from agent.commands.bench_measure import Task
    from agent.inference.files.store import manifest_of

    tasks = []
    for name in networks:
        fixed = manifest_of(name, cache).input.batch
        for recognition in recognitions:
            tasks += [Task(name, recognition, size) for size in ([fixed] if fixed else batches)]
    return tasks


def _loops(recognitions: list[RecognitionSettings]) -> list[Task]:
    from agent.commands.bench_measure import Task

    return [Task(None, recognition) for recognition in recognitions]


def _clip(source: str | None) -> str | None:
    from agent.demo_session import CLIP

    if source is None and not CLIP.is_file():
        warn("the whole loop is skipped: the rendered clip is not here; name a clip with --source")
        return None
    return source or str(CLIP)


def _show(rows: list[BenchResult], devices: dict[str, str], threads: int) -> None:
    for backend, device in devices.items():
        more = f", {threads} threads a network" if backend == "onnxruntime" else ""
        typer.echo(f"{backend}: {device}{more}")
    typer.echo()
    titles = ("what", "backend", "precision", "batch", "images/s", "p50 ms", "p99 ms", "runs")
    cells = [
        (
            row.what, row.backend, row.precision, str(row.batch), f"{row.per_second:.1f}",
            f"{row.p50_ms:.2f}", f"{row.p99_ms:.2f}", str(row.runs),
        )
        for row in rows
    ]  # fmt: skip
    cells += [
        (f"{REFERENCE} (published)", device, "fp16", "1", str(number), "", "", "")
        for device, number in PUBLISHED
    ]
    echo_table(titles, cells)


@contextmanager
def _progress(total_s: float) -> Iterator[tuple[Callable[[str], None], Callable[[float], None]]]:
    """Progress bar on stderr with the time left, in a terminal only."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR")))
    columns: tuple[Any, ...] = (BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=total_s)
        yield lambda text: bar.update(task, description=text), lambda passed: bar.advance(task, passed)
