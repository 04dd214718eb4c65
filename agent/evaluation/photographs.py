"""The list of labelled photographs: a CSV with `path,label` and optionally `box_xyxy,source`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import ConfigError

EXCLUDE = "exclude"  # ambiguous pictures stay in the list but are not judged


@dataclass(frozen=True, slots=True)
class Photograph:
    """One labelled picture, or one hand of a picture where `box` is given."""

    path: Path
    label: str
    box: tuple[float, float, float, float] | None  # left, top, right, bottom in px of the stored file
    source: str


def _box(text: str) -> tuple[float, float, float, float] | None:
    if not text.strip():
        return None
    left, top, right, bottom = (float(part) for part in text.replace(",", " ").split())
    if right <= left or bottom <= top:
        raise ValueError
    return left, top, right, bottom


def read_photographs(manifest: Path, root: Path, labels: Sequence[str]) -> list[Photograph]:
    """Every row but those labelled `exclude`.

    Raises `ConfigError` that names every bad row: a missing column, an unknown label, a box that is
    not four growing numbers, a file that is not there.
    """
    try:
        text = manifest.read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise ConfigError(f"{manifest}: {exc.strerror}; expected a CSV file with columns path,label") from exc
    rows = csv.DictReader(text.splitlines())
    missing = {"path", "label"} - set(rows.fieldnames or ())
    if missing:
        raise ConfigError(
            f"{manifest}:1: columns {', '.join(rows.fieldnames or ['none'])}; "
            f"expected path,label (and optionally box_xyxy,source), missing {', '.join(sorted(missing))}"
        )
    photographs, problems = [], []
    for row in rows:
        where = f"{manifest}:{rows.line_num}"
        label, path = (row["label"] or "").strip(), root / (row["path"] or "").strip()
        if label == EXCLUDE:
            continue
        if label not in labels:
            problems.append(f"{where}: label {label!r}; expected one of {', '.join(labels)}, {EXCLUDE}")
        if not path.is_file():
            problems.append(f"{where}: {path}: no such file; paths are relative to --root")
        try:
            box = _box(row.get("box_xyxy") or "")
        except ValueError:
            problems.append(
                f"{where}: box_xyxy {row['box_xyxy']!r}; expected left top right bottom in pixels"
            )
            box = None
        photographs.append(Photograph(path, label, box, (row.get("source") or "").strip()))
    if problems:
        shown = "\n".join(problems[:20])
        more = f"\n... and {len(problems) - 20} more" if len(problems) > 20 else ""
        raise ConfigError(shown + more)
    if not photographs:
        raise ConfigError(
            f"{manifest}: no row to judge; every row is labelled {EXCLUDE} or the file is empty"
        )
    return photographs
