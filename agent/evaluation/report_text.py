"""Figures of an evaluation as console tables and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from agent.evaluation.calibration import Calibration
from agent.evaluation.figures import Figures
from agent.evaluation.result import Evaluation


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value


def as_json(result: Evaluation) -> dict[str, Any]:
    """Return an evaluation as plain data for JSON.

    Keys: `images`, `found`, `macro_f1`, `per_class.<label>.{precision,recall,f1,support}`, `confusion`,
    `model`, `stage`, `accuracy`, `calibration.{confidence,passed,mistaken,expected_error,bins}`, `unreadable`
    (files that are not pictures), and the figures of each source.
    """
    return {
        "model": result.model,
        "stage": result.stage,
        **_rounded(asdict(result.figures)),
        "calibration": _rounded(asdict(result.calibration)),
        "unreadable": result.unreadable,
        "sources": {name: _rounded(asdict(f)) for name, f in result.sources.items()},
    }


def _class_table(figures: Figures) -> Table:
    table = Table("class", *("precision", "recall", "F1", "support"), title="By class", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for label, c in figures.per_class.items():
        table.add_row(label, f"{c.precision:.3f}", f"{c.recall:.3f}", f"{c.f1:.3f}", str(c.support))
    return table


def _confusion_table(figures: Figures) -> Table:
    labels = list(figures.confusion)
    table = Table("truth", *labels, title="Confusion: truth down, answer across", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for label, row in figures.confusion.items():
        cells = [f"[bold green]{n}[/]" if label == answer else str(n or "·") for answer, n in row.items()]
        table.add_row(label, *cells)
    return table


def _source_table(sources: Mapping[str, Figures]) -> Table:
    table = Table("source", "images", "hand found", "accuracy", "macro-F1", title="By source")
    table.title_justify = "left"
    for column in table.columns[1:]:
        column.justify = "right"
    for name, f in sources.items():
        share = f"{f.found / max(1, f.images):.1%}"
        table.add_row(name or "(none)", str(f.images), share, f"{f.accuracy:.3f}", f"{f.macro_f1:.3f}")
    return table


def in_words(calibration: Calibration) -> str:
    """Return a sentence on the effect of the threshold and on the calibration error."""
    asked = set(calibration.confidence.values())
    least, most = min(asked, default=0.0), max(asked, default=0.0)
    return (
        f"at confidence {least:g}{f' to {most:g}' if least < most else ''} "
        f"{calibration.passed:.1%} of the gestures pass, and "
        f"{calibration.mistaken:.1%} of the photographs pass as a gesture that they do not show; "
        f"probabilities are off by {calibration.expected_error:.3f} (expected calibration error)"
    )


def show(console: Console, result: Evaluation) -> None:
    """Print the tables, then the summary lines."""
    figures = result.figures
    console.print(_class_table(figures))
    console.print(_confusion_table(figures))
    if len(result.sources) > 1:
        console.print(_source_table(result.sources))
    if result.unreadable:
        console.print(f"{len(result.unreadable)} files could not be read as pictures and were left out")
    console.print(
        f"[bold]macro-F1 {figures.macro_f1:.3f}[/] on {figures.images} photographs; "
        f"a hand was found in {figures.found / max(1, figures.images):.1%}; accuracy {figures.accuracy:.3f}"
    )
    console.print(in_words(result.calibration))
