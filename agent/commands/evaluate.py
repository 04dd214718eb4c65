"""`gesture-agent evaluate`: how good the recognition is, on labelled photographs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from agent.commands.models import make_ready
from agent.commands.options import AsJson, ConfigFile, examples, loaded
from agent.commands.output import echo_json, quiet_logs
from agent.config.folders import state_folder

EPILOG = examples(
    "gesture-agent evaluate --manifest photos.csv --root photos/",
    "gesture-agent evaluate --manifest photos.csv --root photos/ --stage crop --model gesturenet",
    "gesture-agent evaluate --manifest photos.csv --root photos/ --report report/",
)


class StageName(str, Enum):
    """How much of the chain is judged."""

    crop = "crop"
    pipeline = "pipeline"


def evaluate(
    manifest: Annotated[
        Path, typer.Option(help="CSV with columns path,label and optionally box_xyxy,source.", metavar="FILE")
    ],
    root: Annotated[Path, typer.Option(help="Folder that the paths start from.", metavar="DIR")] = Path(),
    stage: Annotated[
        StageName,
        typer.Option(help="crop: the hand in the given box; pipeline: find the hands first."),
    ] = StageName.pipeline,
    model: Annotated[
        str | None, typer.Option(help="The classifier.", metavar="NAME", show_default="recognition.gestures")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write a page with the confusion matrix, the reliability and the mistakes.", metavar="DIR"
        ),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Judge the recognition on photographs whose gesture is known.

    Labels are those of the classifier and the gestures that were taught; rows labelled "exclude" are left
    out. A photograph counts as random when no hand is found in it: both mean that no gesture is made.
    """
    from rich.console import Console

    from agent.core.thresholds import thresholds_of
    from agent.evaluation.judge import evaluate as verdicts_of
    from agent.evaluation.photographs import read_photographs
    from agent.evaluation.report import write_report
    from agent.evaluation.result import Evaluation
    from agent.evaluation.show import as_json as jsoned
    from agent.evaluation.show import show
    from agent.inference.build import build_perception

    quiet_logs()
    settings = loaded(config).settings
    if model is not None:
        recognition = settings.recognition.model_copy(update={"gestures": model})
        settings = settings.model_copy(update={"recognition": recognition})
    taught = state_folder(settings.agent, os.environ)
    eyes = build_perception(settings.recognition, make_ready(settings), taught=taught)
    photographs = read_photographs(manifest, root, eyes.labels)
    with _progress(len(photographs)) as step:
        verdicts = list(verdicts_of(photographs, eyes, stage.value, step))
    eyes.close()
    result = Evaluation(
        model=settings.recognition.gestures,
        stage=stage.value,
        labels=eyes.labels,
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
    """A bar on stderr, in a terminal only."""
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
        task = bar.add_task("photographs", total=total)
        yield lambda: bar.advance(task)
