"""Writes what `gesture-agent init` makes: after a word, together, and what is replaced stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from agent.commands.output import echo_below, sign
from agent.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config.atomic_file import NewFile


def agreed(files: list[NewFile], *, yes: bool, force: bool) -> list[NewFile]:
    """Return the files that may be written; what they replace stays as NAME.old. Raises `ConfigError`."""
    from agent.config.atomic_file import NewFile

    there = [file for file in files if file.path.name != ".gitignore" and _differs(file)]
    old = []
    for file in there:
        if not force and (
            yes or not typer.confirm(f"{file.path} is there already. Replace it (the old one is kept)?")
        ):
            how = "--force replaces it and keeps the old one" if yes else "name another folder"
            raise ConfigError(f"{file.path}: is there already, nothing was written; {how}")
        old.append(NewFile(_free_name(file.path), file.path.read_bytes(), file.path.stat().st_mode & 0o777))
    if not yes and not there:
        typer.echo("\nThese files will be written:")
        for file in files:
            typer.echo(f"  {file.path}")
        if not typer.confirm("Write them?", default=True):
            raise typer.Abort
    return [*old, *files]


def _differs(file: NewFile) -> bool:
    return file.path.exists() and file.path.read_bytes() != file.data


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.old{number or ''}") for number in range(1000))
    return next(name for name in names if not name.exists())


def write_files(files: list[NewFile]) -> None:
    """All or none, and say where they are. Raises `ConfigError`."""
    from agent.config.atomic_file import write_all

    write_all(files)
    typer.echo()
    for file in files:
        echo_below(f"{sign('ok')} written: {file.path}")
