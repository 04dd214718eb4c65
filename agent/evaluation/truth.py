"""Labels of recordings: JSON or CSV with gesture, start and end."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from agent.core.numbers import read_json
from agent.core.trace_tune import TruthSpan
from agent.errors import ConfigError
from agent.evaluation.label_table import number, read_table, read_text

COLUMNS = ("gesture", "from_s", "to_s")


def read_truth(path: Path, labels: Collection[str]) -> dict[str | None, list[TruthSpan]]:
    """Read labelled spans by trace name (file stem); None holds spans of every trace. Raises `ConfigError`.

    JSON is {"gestures": [{"gesture", "from_s", "to_s"}]} or such a list; CSV has these columns, in seconds.
    Both may name a `trace` with each span.
    """
    text = read_text(path)
    if text.lstrip()[:1] in {"{", "["}:
        rows = [(f"span {place}", row) for place, row in enumerate(_of_json(path, text), start=1)]
    else:
        rows = [(f"line {row.line}", row.values) for row in read_table(path, text).rows]
    return _spans(path, rows, labels)


def _of_json(path: Path, text: str) -> list[Any]:
    try:
        data = read_json(text)
    except ValueError as exc:
        raise ConfigError(f"{path}: is no JSON: {exc}") from exc
    rows = data.get("gestures") if isinstance(data, dict) else data
    if not isinstance(rows, list):
        raise ConfigError(f'{path}: expected {{"gestures": [{{"gesture", "from_s", "to_s"}}, ...]}}')
    return rows


def _spans(
    path: Path, rows: Iterable[tuple[str, Mapping[str, Any]]], labels: Collection[str]
) -> dict[str | None, list[TruthSpan]]:
    spans: dict[str | None, list[TruthSpan]] = {}
    for where, row in rows:
        try:
            span = TruthSpan(str(row["gesture"]), _seconds(row["from_s"]), _seconds(row["to_s"]))
            trace = row.get("trace") or None
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise ConfigError(
                f"{path}: {where} lacks or garbles {exc}; expected {', '.join(COLUMNS)}"
            ) from exc
        if span.gesture not in labels:
            known = ", ".join(labels)
            raise ConfigError(f"{path}: {where}: no gesture {span.gesture!r}; known are {known}")
        if not 0 <= span.from_s < span.to_s:
            raise ConfigError(f"{path}: {where} goes from {span.from_s:g} s to {span.to_s:g} s")
        spans.setdefault(Path(str(trace)).stem if trace else None, []).append(span)
    return spans


def _seconds(value: Any) -> float:
    return number(str(value))
