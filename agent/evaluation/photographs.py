"""Lists of labelled photographs: CSV with `path,label` and optionally `box_xyxy,source`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.config.sources import shown
from agent.errors import ConfigError
from agent.evaluation.label_table import number, read_table
from agent.picture_file import picture_size

EXCLUDE = "exclude"  # ambiguous pictures stay in the list but are not judged


@dataclass(frozen=True, slots=True)
class Photograph:
    """One labelled picture, or one hand of a picture where `box` is given."""

    path: Path
    label: str
    box: tuple[float, float, float, float] | None  # left, top, right, bottom in px of the stored file
    source: str


def _box(text: str, path: Path) -> tuple[float, float, float, float] | None:
    """Raises `ValueError` with what is wrong."""
    if not text:
        return None
    try:
        left, top, right, bottom = (number(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ValueError("expected left top right bottom in pixels") from None
    if right <= left or bottom <= top:
        raise ValueError("expected left top right bottom in pixels, right and bottom the larger ones")
    width, height = picture_size(path) or (right, bottom)
    if right <= 0 or bottom <= 0 or left >= width or top >= height:
        raise ValueError(f"lies outside the picture ({width:g} x {height:g} pixels)")
    return left, top, right, bottom


def read_photographs(manifest: Path, root: Path, labels: Sequence[str]) -> list[Photograph]:
    """Read every row except those labelled `exclude`.

    Raises `ConfigError` that names every invalid row: a missing column, an unknown label, a box that is not
    four increasing numbers, a missing file.
    """
    table = read_table(manifest)
    missing = {"path", "label"} - set(table.columns)
    if missing:
        raise ConfigError(
            f"{manifest}:1: columns {', '.join(table.columns) or 'none'}; "
            f"expected path,label (and optionally box_xyxy,source), missing {', '.join(sorted(missing))}"
        )
    photographs, problems = [], []
    small = {label.lower(): label for label in (*labels, EXCLUDE)}
    for row in table.rows:
        where, values = f"{manifest}:{row.line}", row.values
        label, path = small.get(values["label"].lower()), root / values["path"]
        if label == EXCLUDE:
            continue
        if label is None:
            known = f"{', '.join(labels)}, {EXCLUDE}"
            problems.append(f"{where}: column label: {values['label']!r}; expected one of {known}")
        if not path.is_file():
            problems.append(
                f"{where}: column path: {shown(path)}: no such file; paths are relative to --root"
            )
        box_text = values.get("box_xyxy", "")
        try:
            box = _box(box_text, path)
        except ValueError as exc:
            problems.append(f"{where}: column box_xyxy: {box_text!r}: {exc}")
            box = None
        photographs.append(Photograph(path, label or "", box, values.get("source", "")))
    if problems:
        first = "\n".join(problems[:20])
        more = f"\n... and {len(problems) - 20} more" if len(problems) > 20 else ""
        raise ConfigError(first + more)
    if not photographs:
        raise ConfigError(
            f"{manifest}: no row to judge; every row is labelled {EXCLUDE} or the file is empty"
        )
    return photographs
