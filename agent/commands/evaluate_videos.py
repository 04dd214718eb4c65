"""Processing of videos for `gesture-agent evaluate`."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent.capture.source import open_source
from agent.config.settings import CameraSettings, Settings
from agent.config.trace_settings import trace_header
from agent.core.thresholds import thresholds_of
from agent.core.types import Frame
from agent.errors import ConfigError, EndOfSource, SourceLost
from agent.evaluation.clip_judge import CAMERA, Judged, judge_clip
from agent.evaluation.truth import COLUMNS
from agent.evaluation.video_report import picture
from agent.evaluation.videos import Clip
from agent.service.trace_files import TraceFile

if TYPE_CHECKING:
    from agent.inference.recognizer import Recognizer

EPSILON_S = 1e-6


def judge_videos(
    clips: list[Clip],
    recognizer: Recognizer,
    settings: Settings,
    *,
    fps: float,
    traces: Path | None,
    step: Callable[[], None],
) -> list[Judged]:
    """Run every clip independently. With `traces`, write a trace of each and `truth.csv` for `tune`.

    Raises `ConfigError` for a file that is no video.
    """
    if traces:
        traces.mkdir(parents=True, exist_ok=True)
        _write_truth(traces / "truth.csv", clips)
    header = trace_header(settings, recognizer.labels)
    judged = []
    for number, clip in enumerate(clips):
        file: AbstractContextManager[TraceFile | None] = nullcontext()
        if traces:
            file = TraceFile(traces / f"{_stem(number, clip)}.jsonl", replace(header, at=0.0))
        with file as trace:
            judged.append(
                judge_clip(
                    clip,
                    frames_of(clip.path, fps),
                    recognizer,
                    thresholds=thresholds_of(settings.debounce),
                    smoothing_s=settings.debounce.smoothing,
                    draw=picture,
                    record=trace.record if trace else lambda _moment: None,
                )
            )
        step()
    return judged


def frames_of(path: Path, fps: float) -> Iterator[Frame]:
    """Yield the frames of a video or a folder of images at a limited rate. Raises `ConfigError`."""
    source = open_source(CameraSettings(source=str(path)), CAMERA, pace=False)
    due: float | None = None
    try:
        source.open()
        while True:
            frame = source.read()
            if due is None or frame.at >= due - EPSILON_S:
                due = max(frame.at if due is None else due, frame.at - 1 / fps) + 1 / fps
                yield frame
    except EndOfSource:
        return
    except SourceLost as exc:
        raise ConfigError(str(exc)) from exc
    finally:
        source.close()


def _stem(number: int, clip: Clip) -> str:
    return f"{number:04d}_{clip.path.stem}"


def _write_truth(path: Path, clips: list[Clip]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow((*COLUMNS, "trace"))
        for number, clip in enumerate(clips):
            rows.writerows((s.gesture, s.from_s, s.to_s, _stem(number, clip)) for s in clip.spans)
