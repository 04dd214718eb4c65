"""`gesture-agent evaluate`: accuracy of the recognition on labelled photographs and videos."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.models import make_ready
from agent.commands.options import AsJson, ConfigFile, examples, loaded
from agent.commands.output import echo_json, quiet_logs
from agent.config.folders import state_folder

if TYPE_CHECKING:
    from agent.config.settings import Settings

EPILOG = examples(
    "gesture-agent evaluate --manifest photos.csv --root photos/",
    "gesture-agent evaluate --manifest photos.csv --root photos/ --stage crop --model gesturenet",
    "gesture-agent evaluate --manifest photos.csv --root photos/ --report report/",
    "gesture-agent evaluate --videos evening.csv --root films/ --report report/",
    "gesture-agent evaluate --videos evening.csv --root films/ --traces traces/   for tune",
)


class StageName(str, Enum):
    """Part of the pipeline to evaluate."""

    crop = "crop"
    pipeline = "pipeline"


def evaluate(
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="Photographs: CSV with columns path,label and optionally box_xyxy,source.", metavar="FILE"
        ),
    ] = None,
    videos: Annotated[
        Path | None,
        typer.Option(
            help="Videos: CSV with columns path,gesture,from_s,to_s and optionally kind; "
            'gesture "idle": nothing is meant in it.',
            metavar="FILE",
        ),
    ] = None,
    root: Annotated[Path, typer.Option(help="Base folder of relative paths.", metavar="DIR")] = Path(),
    stage: Annotated[
        StageName,
        typer.Option(help="crop: the hand in the given box; pipeline: find the hands first."),
    ] = StageName.pipeline,
    model: Annotated[
        str | None, typer.Option(help="Classifier.", metavar="NAME", show_default="recognition.gestures")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write an HTML report with confusion matrix, reliability and errors.", metavar="DIR"
        ),
    ] = None,
    fps: Annotated[
        float, typer.Option(min=1.0, max=240.0, help="Frames per second to process of a video.")
    ] = 10.0,
    traces: Annotated[
        Path | None,
        typer.Option(help="Write a trace of each video, and its labels, for `tune`.", metavar="DIR"),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate the recognition on labelled photographs or videos.

    Photographs: labels are those of the classifier and of taught gestures; rows labelled "exclude"
    are skipped. A photograph without a detected hand counts as random: both mean that no gesture is
    made.

    Videos: false activations an hour without intended gestures, and the share of gestures missed.
    A row for each gesture with its seconds, or a row that says "idle"; each video is processed
    independently. Film your own room for an hour to measure it.
    """
    if (manifest is None) == (videos is None):
        raise typer.BadParameter(
            "give one of --manifest (photographs) and --videos", param_hint="--manifest, --videos"
        )
    if videos is not None:
        _videos(videos, root, fps, traces, report, _settings(config, model), as_json=as_json)
    elif manifest is not None:
        _photographs(manifest, root, stage, report, _settings(config, model), as_json=as_json)


def _settings(config: Path | None, model: str | None) -> Settings:
    settings = loaded(config).settings
    if model is None:
        return settings
    recognition = settings.recognition.model_copy(update={"gestures": model})
    return settings.model_copy(update={"recognition": recognition})


def _videos(
    videos: Path,
    root: Path,
    fps: float,
    traces: Path | None,
    report: Path | None,
    settings: Settings,
    *,
    as_json: bool,
) -> None:
    from rich.console import Console

    from agent.commands.evaluate_videos import judge_videos
    from agent.evaluation.video_report import write_video_report
    from agent.evaluation.video_report_text import show
    from agent.evaluation.video_result import VideoResult
    from agent.evaluation.video_result import as_json as jsoned
    from agent.evaluation.videos import read_videos
    from agent.inference.build import build_recognizer

    quiet_logs()
    recognizer = build_recognizer(settings.recognition, make_ready(settings))
    clips = read_videos(videos, root, recognizer.labels)
    with _progress(len(clips)) as step:
        judged = judge_videos(clips, recognizer, settings, fps=fps, traces=traces, step=step)
    recognizer.close()
    result = VideoResult(judged, settings.recognition.gestures, fps)
    if as_json:
        echo_json(jsoned(result))
    else:
        show(Console(), result)
    if report is not None:
        typer.echo(f"report: {write_video_report(report, result)}", err=True)


def _photographs(
    manifest: Path, root: Path, stage: StageName, report: Path | None, settings: Settings, *, as_json: bool
) -> None:
    from rich.console import Console

    from agent.core.thresholds import thresholds_of
    from agent.evaluation.judge import evaluate as verdicts_of
    from agent.evaluation.photographs import read_photographs
    from agent.evaluation.report import write_report
    from agent.evaluation.report_text import as_json as jsoned
    from agent.evaluation.report_text import show
    from agent.evaluation.result import Evaluation
    from agent.inference.build import build_recognizer

    quiet_logs()
    taught = state_folder(settings.agent, os.environ)
    recognizer = build_recognizer(settings.recognition, make_ready(settings), taught=taught)
    photographs = read_photographs(manifest, root, recognizer.labels)
    with _progress(len(photographs)) as step:
        verdicts = list(verdicts_of(photographs, recognizer, stage.value, step))
    recognizer.close()
    result = Evaluation(
        model=settings.recognition.gestures,
        stage=stage.value,
        labels=recognizer.labels,
        thresholds=thresholds_of(settings.debounce),
        verdicts=verdicts,
    )
    if as_json:
        echo_json(jsoned(result))
    else:
        show(Console(), result)
    if report is not None:
        typer.echo(f"report: {write_report(report, result)}", err=True)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """Progress bar on stderr, in a terminal only."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    with Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("judged", total=total)
        yield lambda: bar.advance(task)
