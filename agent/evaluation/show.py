"""The figures for people (tables) and for machines (one JSON object)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from agent.evaluation.judge import Verdict
from agent.evaluation.metrics import Figures


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value


def as_json(
    figures: Figures, sources: Mapping[str, Figures], verdicts: Sequence[Verdict], model: str, stage: str
) -> dict[str, Any]:
    """Keys `images`, `found`, `macro_f1`, `per_class.<label>.{precision,recall,f1,support}`, `confusion`.

    Beside them `model`, `stage`, `accuracy`, `unreadable` (files that are no pictures; not judged) and
    the same figures for each source.
    """
    return {
        "model": model,
        "stage": stage,
        **_rounded(asdict(figures)),
        "unreadable": [str(v.photograph.path) for v in verdicts if not v.readable],
        "sources": {name: _rounded(asdict(f)) for name, f in sources.items()},
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


def show(console: Console, figures: Figures, sources: Mapping[str, Figures], unreadable: int) -> None:
    """The tables, then the one line that counts."""
    console.print(_class_table(figures))
    console.print(_confusion_table(figures))
    if len(sources) > 1:
        console.print(_source_table(sources))
    if unreadable:
        console.print(f"{unreadable} files could not be read as pictures and were left out")
    console.print(
        f"[bold]macro-F1 {figures.macro_f1:.3f}[/] on {figures.images} photographs; "
        f"a hand was found in {figures.found / max(1, figures.images):.1%}; accuracy {figures.accuracy:.3f}"
    )
