"""Traces with labels, as `tune` and `idle-test` take them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import ConfigError

if TYPE_CHECKING:
    from agent.core.trace_tune import LabelledTrace
    from agent.service.trace_files import StoredTrace


def labelled_traces_of(paths: list[Path], truth: Path | None, smoothing_s: float) -> list[LabelledTrace]:
    """Read traces with the gestures that were meant in them, smoothed with `smoothing_s` seconds.

    `truth` is JSON or CSV with gesture, from_s, to_s, and trace for several. Raises `ConfigError`.
    """
    from agent.core.trace_tune import label_trace
    from agent.evaluation.truth import read_truth
    from agent.service.trace_files import open_trace

    opened: list[StoredTrace] = [open_trace(path) for path in paths]
    spans = read_truth(truth, opened[0].header.labels) if truth else {}
    for stem in spans:
        if stem is None and len(paths) > 1:
            raise ConfigError(
                f"{truth}: there are {len(paths)} traces; say with each span which `trace` it is of"
            )
        if stem is not None and stem not in {path.stem for path in paths}:
            raise ConfigError(f"{truth}: speaks of the trace {stem!r}, which is not given")
    return [
        label_trace(
            trace.header,
            trace.records(),
            smoothing_s,
            [*spans.get(None, ()), *spans.get(trace.path.stem, ())],
        )
        for trace in opened
    ]
