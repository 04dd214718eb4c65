"""Output of commands: formatted in a terminal, plain text in a pipe, JSON on request."""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

import typer

State = Literal["ok", "warn", "fail"]
GAP = "  "  # between columns of a table
NARROWEST = 4  # minimum width of a folded column; ten of them fit into 80
_SIGNS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


def is_fancy() -> bool:
    """Return whether stdout is a terminal that can show more than ASCII."""
    return sys.stdout.isatty() and (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def echo_json(document: Any) -> None:
    """Print one line of JSON; NaN and infinity become null."""
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(document), ensure_ascii=False)
    typer.echo(text)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def error_document(error: Exception, exit_code: int) -> dict[str, Any]:
    """Return the JSON document that a command with --json prints when it fails."""
    from agent.config.problems import ConfigProblems

    document: dict[str, Any] = {"ok": False, "error": str(error), "exit_code": exit_code}
    if isinstance(error, ConfigProblems):
        document["problems"] = [asdict(problem) for problem in error.problems]
    return document


def wants_colour() -> bool | None:
    """False where NO_COLOR is set (no-color.org); None: colour in a terminal, none in a pipe."""
    return False if os.environ.get("NO_COLOR") else None


def warn(text: str) -> None:
    """Print a warning on stderr, so that stdout holds the result only."""
    typer.secho(f"warning: {text}", fg="yellow", err=True, color=wants_colour())


def sign(state: State) -> str:
    """Return ✓ ! or ✗ in colour; in a pipe or an ASCII terminal a word."""
    mark, colour = _SIGNS[state]
    return typer.style(mark, fg=colour) if is_fancy() else f"{state:4}"


def echo_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns; in a terminal with highlighted titles and wrapped cells."""
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
    widths = fitting([max(map(len, column)) for column in zip(titles, *rows, strict=True)], columns())
    for row in (titles, *rows):
        cells = [_folded(cell, width) for cell, width in zip(row, widths, strict=True)]
        for line in itertools.zip_longest(*cells, fillvalue=""):
            typer.echo(GAP.join(map(str.ljust, line, widths)).rstrip())


def echo_below(text: str) -> None:
    """Print a sentence below a table, wrapped between words, never inside a path or an option."""
    typer.echo(
        textwrap.fill(text, columns(), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    )


def columns() -> int:
    """Width of a line: of the terminal, $COLUMNS, else 80."""
    return max(40, shutil.get_terminal_size((80, 24)).columns)


def fitting(widths: Sequence[int], room: int) -> list[int]:
    """Return column widths that fit into a line together; the widest shrink."""
    found = list(widths)
    spare = sum(found) + len(GAP) * (len(found) - 1) - room
    while spare > 0 and max(found) > NARROWEST:
        found[found.index(max(found))] -= 1
        spare -= 1
    return found


def _folded(cell: str, width: int) -> list[str]:
    """Wrapped lines of one cell; words stay whole where they fit."""
    if len(cell) <= width:
        return [cell]
    return textwrap.wrap(cell, width, break_on_hyphens=False) or [""]


def quiet_logs() -> None:
    """Suppress logs below errors, so that the command alone reports its results."""
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
