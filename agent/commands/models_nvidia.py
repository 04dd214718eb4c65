"""Fetch and import of NVIDIA's networks for `gesture-agent models`: progress and results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from agent.commands.output import echo_json, is_fancy

if TYPE_CHECKING:
    from agent.inference.nvidia.download import Progress
    from agent.inference.nvidia.importing import Imported

EVERY_BYTES = 10_000_000  # in a pipe: one line per this many bytes

Python: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--python",
        metavar="PYTHON",
        help="Python interpreter that has NVIDIA's decoder of .etlt files.",
        show_default="the current one",
    ),
]


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """Options of `models import`."""

    file: Path
    name: str | None
    key: str
    python: Path | None
    normalisation: str | None
    margin: float | None
    labels: str | None


def import_or_fetch(asked: ImportRequest, cache: Path, *, as_json: bool) -> None:
    """Import a file and print the result. Raises `ModelError`."""
    from agent.inference.nvidia.importing import import_model, read_given
    from agent.inference.nvidia.model_matching import NORMALISATIONS, Choices

    wanted = next((known for known in NORMALISATIONS if known == asked.normalisation), None)
    if asked.normalisation and wanted is None:
        raise typer.BadParameter(
            f"--normalisation {asked.normalisation}: there are {', '.join(NORMALISATIONS)}"
        )
    labels = tuple(part.strip() for part in asked.labels.split(",")) if asked.labels else None
    given = read_given(asked.file, asked.key, asked.python)
    choices = Choices(asked.name, wanted, asked.margin, labels)
    _show(import_model(given, cache, choices, _say(quiet=as_json)), as_json=as_json)


def fetch(
    name: str, cache: Path, *, accepted: bool, url: str | None, python: Path | None, quiet: bool
) -> str:
    """Download one of NVIDIA's networks from NGC; return its path. Raises `ModelError`."""
    from agent.inference.files.store import own_folder
    from agent.inference.models import locate
    from agent.inference.nvidia.ngc import NgcOptions, fetch_from_ngc

    if (own_folder(cache) / name / "manifest.toml").is_file():
        path = locate(name, cache)
        _say(quiet=quiet)(f"{name}: ready")
        return str(path)
    with _bytes(quiet=quiet) as progress:
        made = fetch_from_ngc(name, cache, NgcOptions(accepted, url, python), _say(quiet=quiet), progress)
    if not quiet:
        _show(made, as_json=False)
    return str(made.path)


def _show(made: Imported, *, as_json: bool) -> None:
    if as_json:
        echo_json(asdict(made) | {"path": str(made.path)})
        return
    for note in made.notes:
        typer.echo(f"  note: {note}")
    setting = "gestures" if made.task == "gesture" else "pose"
    typer.echo(f"{made.path}\nsha256 {made.sha256}")
    typer.echo(f'choose it with {setting} = "{made.name}" in [recognition] of config.toml')


def _say(*, quiet: bool) -> Callable[[str], None]:
    return (lambda _line: None) if quiet else typer.echo


@contextmanager
def _bytes(*, quiet: bool) -> Iterator[Progress]:
    """Progress of a download: a bar in a terminal, a line now and then in a pipe."""
    if quiet:
        yield lambda _done, _all: None
        return
    if not is_fancy():
        yield _Lines().step
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    with Progress(BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Lines:
    """Download progress for a pipe."""

    def __init__(self) -> None:
        self._told = 0

    def step(self, done: int, total: int | None) -> None:
        """Print progress every `EVERY_BYTES`."""
        if done // EVERY_BYTES > self._told:
            self._told = done // EVERY_BYTES
            whole = f" of {total / 1e6:.0f}" if total else ""
            typer.echo(f"  {done / 1e6:.0f}{whole} MB")
