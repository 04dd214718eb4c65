"""How commands speak: for people in a terminal, plain text in a pipe, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, Literal

import typer

State = Literal["ok", "warn", "fail"]
_SIGNS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


def is_fancy() -> bool:
    """True: stdout is a terminal that can show more than ASCII."""
    return sys.stdout.isatty() and (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def echo_json(document: Any) -> None:
    """One line of JSON."""
    typer.echo(json.dumps(document, ensure_ascii=False))


def wants_colour() -> bool | None:
    """False where NO_COLOR is set (no-color.org); None: in a terminal yes, in a pipe no."""
    return False if os.environ.get("NO_COLOR") else None


def warn(text: str) -> None:
    """A line on stderr that leaves stdout to the result."""
    typer.secho(f"warning: {text}", fg="yellow", err=True, color=wants_colour())


def sign(state: State) -> str:
    """✓ ! or ✗ in colour; in a pipe or an ASCII terminal the word itself."""
    mark, colour = _SIGNS[state]
    return typer.style(mark, fg=colour) if is_fancy() else f"{state:4}"


def echo_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns; in a terminal with titles that stand out and cells that wrap."""
    if is_fancy():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for title in titles:
            table.add_column(title, overflow="fold")
        for row in rows:
            table.add_row(*map(Text.from_ansi, row))
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    for row in (titles, *rows):
        typer.echo("  ".join(map(str.ljust, row, widths)).rstrip())


def quiet_logs() -> None:
    """The command says itself what it finds; nothing that it calls shall log in between."""
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
