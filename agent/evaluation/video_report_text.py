"""Console output of a video evaluation: tables and summary lines."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from agent.evaluation.video_result import Rate, VideoResult

SHORT_S = 10.0  # with less idle time no rate is shown
RATE = ("clips", "minutes idle", "false starts", "an hour (95 %)")
COLUMNS = ("false", "held back", "meant", "missed", "wrong", "doubled")


def show(console: Console, result: VideoResult) -> None:
    """Print the tables by kind of clip, gesture and reason, every false positive and miss, and the totals."""
    if len(result.kinds) > 1:
        table = _table("By kind of clip", "kind", *RATE)
        for name, rate in result.kinds.items():
            table.add_row(
                name or "(none)", str(rate.clips), f"{rate.idle_s / 60:.1f}", str(rate.starts), an_hour(rate)
            )
        console.print(table)
    if result.by_gesture:
        table = _table("By gesture", "gesture", *COLUMNS)
        for gesture, counts in result.by_gesture.items():
            table.add_row(gesture, *(str(counts.get(column, 0)) for column in COLUMNS))
        console.print(table)
    if result.by_reason:
        table = _table("By what kept gestures from starting", "setting", "held back while idle", "missed")
        for reason, counts in result.by_reason.items():
            table.add_row(reason, str(counts["held back while idle"]), str(counts["missed"]))
        console.print(table)
    for line in _not_right(result):
        console.print(line, soft_wrap=True)
    for line in in_words(result):
        console.print(f"[bold]{line}[/]", soft_wrap=True)


def _not_right(result: VideoResult) -> Iterator[str]:
    """Yield a line for each false positive and each missed gesture."""
    for one in result.judged:
        for start in one.starts:
            if start.kind != "right":
                seen = f"{start.gesture} {start.score:.2f} at {start.at_s:.1f} s"
                yield f"{start.kind}: {seen} of {one.clip.path}"
        for miss in one.missed:
            yield f"missed: {miss.span.gesture} of {one.clip.path}: {miss.words}"


def in_words(result: VideoResult) -> list[str]:
    """Return the totals as text: false positives an hour, and missed gestures."""
    rate, counts = result.rate, result.counts
    lines = []
    if rate.idle_s:
        lines.append(
            f"{rate.starts} false starts in {rate.idle_s / 60:.1f} minutes in which nothing was meant: "
            f"{an_hour(rate)} an hour"
        )
    if counts["meant"]:
        low, high = result.missed_interval
        lines.append(
            f"{counts['missed']} of {counts['meant']} gestures missed: "
            f"{counts['missed'] / counts['meant']:.1%} (95 %: {low:.1%} to {high:.1%}); "
            f"{counts['wrong']} wrong, {counts['doubled']} doubled"
        )
    return lines


def an_hour(rate: Rate) -> str:
    """Return a rate with its 95 % interval as text."""
    if rate.an_hour is None or rate.interval is None or rate.idle_s < SHORT_S:
        return "-"
    low, high = rate.interval
    return f"{rate.an_hour:.1f} ({low:.1f} to {high:.1f})"


def _table(title: str, first: str, *columns: str) -> Table:
    table = Table(first, *columns, title=title, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    return table
