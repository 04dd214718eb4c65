"""Options shared by several commands, and loading of the settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from agent.commands.output import warn

if TYPE_CHECKING:
    from agent.config.load import Loaded

ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="Settings file. Default: $GESTURE_AGENT_CONFIG, ./config.toml, /etc/gesture-agent/config.toml.",
        show_default=False,
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
RulesPath: TypeAlias = Annotated[
    Path | None,
    typer.Argument(metavar="PATH", help="Rule file or folder.", show_default="agent.rules"),
]


def loaded(config: Path | None, *, need_files: bool = False, as_service: bool = True) -> Loaded:
    """Load the settings; warnings go to stderr. Raises `ConfigProblems`.

    `as_service`: the settings of the installed service use its folders too.
    """
    from agent.commands.service_folders import as_the_service
    from agent.config.load import load

    found = load(config, os.environ, need_files=need_files)
    for warning in found.warnings:
        warn(warning)
    return as_the_service(found, os.environ) if as_service else found


def duration(given: str | float) -> float:
    """Parse an option like "12.3s" to seconds; a bare number counts as seconds, as does a default."""
    from agent.core.duration import MAX_S, parse_duration
    from agent.core.numbers import read_float

    text = str(given)
    try:
        return read_float(text, 0, MAX_S) if text.replace(".", "", 1).isdigit() else parse_duration(text)
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc


def examples(*lines: str) -> str:
    """Build the examples at the end of a help text. The first line keeps click from wrapping the rest."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])
