"""`gesture-agent record`: records a trace of the classifier's output."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.models import make_ready
from agent.commands.options import ConfigFile, duration, examples, loaded
from agent.commands.output import quiet_logs
from agent.errors import NO_CAMERA, ConfigError

if TYPE_CHECKING:
    from agent.config.settings import CameraSettings, Settings
    from agent.core.trace import TraceRecord
    from agent.core.types import CameraState
    from agent.service.trace_files import TraceFile, TraceWriterThread

EPILOG = examples(
    "gesture-agent record                                      all cameras, until Ctrl-C",
    "gesture-agent record --camera front --for 10min --out evening.jsonl",
    "gesture-agent record --source clip.mp4 --out trace.jsonl  of a video or a folder of images",
)


def record(
    source: Annotated[
        str | None,
        typer.Option(
            metavar="CLIP",
            help="A video file or a folder of images.",
            show_default="the cameras of the settings",
        ),
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only this camera; with --source: its name in the trace."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Output file.",
            show_default="a ring of files in state_dir/trace; of a clip: CLIP.jsonl here",
        ),
    ] = None,
    for_: Annotated[
        float | None,
        typer.Option("--for", metavar="TIME", parser=duration, help='Stop after this time, as in "10min".'),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(min=0.1, max=240, help="Frames per second of a folder of images.", show_default="15"),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Record the classifier's output for every hand: numbers with times and positions, never an image.

    Nothing is published. For `replay`, `explain` and `tune`. The daemon records its last hour by itself,
    unless the settings say enabled = false under [trace].
    """
    quiet_logs()
    settings = loaded(config).settings
    if source is None:
        _of_cameras(settings, chosen_cameras(settings, camera), out, for_)
    else:
        _of_clip(settings, source, camera or "replay", out or _beside(source), fps)


def _of_clip(settings: Settings, source: str, camera: str, out: Path, fps: float | None) -> None:
    from agent.config.trace_settings import trace_header
    from agent.playback import ClipReplay
    from agent.service.trace_files import TraceFile

    clip = ClipReplay(settings, source, make_ready(settings), fps=fps, camera=camera)
    steps = clip.steps()
    first = next(steps)
    try:
        with TraceFile(out, trace_header(settings, clip.labels, first.record.at)) as trace:
            trace.record(first.record)
            last = first
            for last in steps:
                trace.record(last.record)
    except OSError as exc:
        raise cannot_write(out, exc) from exc
    typer.echo(f"{out}: {clip.frames} frames, {last.at_s:.1f} s, {trace.bytes:,} bytes")


def _beside(source: str) -> Path:
    """Trace named after a clip; not after a URL, which may hold a password."""
    from agent.config.sources import local_path

    path = local_path(source)
    return Path(f"{path.stem if path else 'clip'}.jsonl")


def _of_cameras(
    settings: Settings, cameras: dict[str, CameraSettings], out: Path | None, for_s: float | None
) -> None:
    from agent.config.folders import make_folders
    from agent.core.timestamps import rfc3339
    from agent.recording import Recording
    from agent.service.signals import signals
    from agent.service.trace_files import FOLDER, TraceFile, build_trace_writer

    sink: TraceFile | TraceWriterThread
    recording = Recording(
        settings, cameras, make_ready(settings), lambda record: _count(record, sink, counts), print_lost
    )
    counts: dict[str, int] = {}
    if out is None:
        state = make_folders(settings.agent, os.environ).state
        sink, where = build_trace_writer(settings, recording.header.labels, state), state / FOLDER
    else:
        from dataclasses import replace

        try:
            sink, where = TraceFile(out, replace(recording.header, started=rfc3339(time.time()))), out
        except OSError as exc:
            raise cannot_write(out, exc) from exc
    typer.echo(f"recording {', '.join(cameras)} to {where}; Ctrl-C ends it", err=True)
    try:
        with signals(recording.loop.stop, lambda: None):
            recording.run(for_s)
    except OSError as exc:
        raise cannot_write(where, exc) from exc
    finally:
        sink.close()
    frames = ", ".join(f"{count} frames of {camera}" for camera, count in counts.items())
    typer.echo(f"{where}: {frames or 'no frame was seen; see gesture-agent check'}")


def _count(record: TraceRecord, sink: TraceFile | TraceWriterThread, counts: dict[str, int]) -> None:
    sink.record(record)
    if record.kind == "frame":
        counts[record.camera] = counts.get(record.camera, 0) + 1


def chosen_cameras(settings: Settings, name: str | None) -> dict[str, CameraSettings]:
    """Return the cameras of the settings, or the named one. Raises `ConfigError`."""
    cameras = settings.camera
    if not cameras:
        raise ConfigError(NO_CAMERA)
    if name is None:
        return dict(cameras)
    if name not in cameras:
        raise ConfigError(f"no camera {name!r}; the settings have {', '.join(cameras)}")
    return {name: cameras[name]}


def print_lost(state: CameraState) -> None:
    """Print on stderr that a camera is away: who records for hours wants to know at once."""
    typer.echo(f"{state.camera}: {state.reason}", err=True)


def cannot_write(path: Path, exc: OSError) -> ConfigError:
    """Return the error for an output file that cannot be written."""
    return ConfigError(f"{path}: {exc.strerror}; choose another place with --out")
