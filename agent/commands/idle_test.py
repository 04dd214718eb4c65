"""`gesture-agent idle-test`: how often the agent would fire while nobody means a gesture."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.options import AsJson, ConfigFile, duration, examples, loaded
from agent.commands.output import quiet_logs
from agent.errors import ConfigError

if TYPE_CHECKING:
    from agent.config.settings import Settings
    from agent.core.idle_test import IdleStart, IdleTest
    from agent.core.thresholds import Thresholds
    from agent.core.trace import TraceHeader, TraceRecord
    from agent.core.trace_tune import TuningResult

EPILOG = examples(
    "gesture-agent idle-test                       all cameras for an hour; Ctrl-C ends it sooner",
    "gesture-agent idle-test --camera sofa --for 8h --out idle.jsonl",
    "gesture-agent idle-test --meant shown.jsonl --truth shown.csv   and what stricter settings would cost",
    "gesture-agent idle-test /var/lib/gesture-agent/trace            what the daemon has recorded",
)
DEFAULT_S = 3600.0


def idle_test(
    traces: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="TRACE",
            help="Traces, or folders of them, in which nobody meant a gesture.",
            show_default="watch the cameras",
        ),
    ] = None,
    camera: Annotated[
        str | None, typer.Option(metavar="NAME", help="Watch only this camera.", show_default="all")
    ] = None,
    for_: Annotated[
        float, typer.Option("--for", metavar="TIME", parser=duration, help='How long, as in "8h".')
    ] = DEFAULT_S,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep a trace (numbers, no images), for `explain` and `tune`."),
    ] = None,
    meant: Annotated[
        list[Path] | None,
        typer.Option(metavar="TRACE", help="Trace of gestures that were meant; may be repeated."),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="When they were meant: CSV with gesture, from_s, to_s (and trace)."
        ),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Count the gestures that start while nobody means one; nothing is published and no image is kept.

    Live as usual in front of the camera. At the end it says how often the agent would have fired, why each
    start was let through, which stricter settings would have prevented it and, with --meant, how many
    intended gestures each would cost. Rules with thresholds of their own, or a wake gesture, fire less.
    """
    from agent.commands.idle_test_show import as_document, show

    if bool(meant) != (truth is not None):
        raise typer.BadParameter(
            "--meant and --truth belong together: the trace, and when gestures are in it",
            param_hint="--meant" if truth else "--truth",
        )
    quiet_logs()
    settings = loaded(config).settings
    now = _thresholds(settings)
    cost = _cost_of(meant or [], truth, settings)
    test = _of_traces(traces, now, as_json) if traces else _of_cameras(settings, camera, for_, out, as_json)
    from agent.commands.output import echo_json

    costs = {other: cost(other.thresholds) for other in test.count.left} if meant else {}
    base = cost(now) if meant else None
    if as_json:
        echo_json(as_document(test.count, costs, base))
        return
    show(test.count, costs, base)


def _thresholds(settings: Settings) -> Thresholds:
    from agent.core.thresholds import thresholds_of

    return thresholds_of(settings.debounce)


def _cost_of(
    meant: list[Path], truth: Path | None, settings: Settings
) -> Callable[[Thresholds], TuningResult]:
    """Read the traces of intended gestures now, so that a wrong file is told before hours have passed."""
    from agent.commands.labelled_traces import labelled_traces_of
    from agent.core.trace_tune import evaluate_thresholds

    labelled = labelled_traces_of(meant, truth, settings.debounce.smoothing) if meant else []
    return lambda thresholds: evaluate_thresholds(labelled, thresholds)


def _test(header: TraceHeader, now: Thresholds) -> IdleTest:
    from agent.core.idle_test import IdleTest, alternatives
    from agent.core.types import NO_GESTURE

    gestures = [label for label in header.labels if label != NO_GESTURE]
    return IdleTest(header, now, alternatives(now, gestures))


def _of_traces(places: Iterable[Path], now: Thresholds, as_json: bool) -> IdleTest:
    from agent.service.trace_files import traces_of

    stored = [trace for place in places for trace in traces_of(place)]
    if len({trace.header.labels for trace in stored}) > 1:
        raise ConfigError("these traces are of classifiers with different gestures; test them one by one")
    test = _test(stored[0].header, now)
    with _progress(None, len(stored), as_json) as step:
        for trace in stored:
            test.begin(trace.header)
            for record in trace.records():
                test.feed(record)
            step(test, None)
    return test


def _of_cameras(
    settings: Settings, camera: str | None, for_s: float, out: Path | None, as_json: bool
) -> IdleTest:
    from agent.commands.models import make_ready
    from agent.commands.record import cannot_write, chosen_cameras, print_lost
    from agent.core.timestamps import rfc3339
    from agent.recording import Recording
    from agent.service.signals import signals
    from agent.service.trace_files import NullTraceWriter, TraceFile

    cameras = chosen_cameras(settings, camera)
    trace: TraceFile | NullTraceWriter = NullTraceWriter()

    def count(record: TraceRecord) -> None:
        trace.record(record)
        for start in test.feed(record):
            step(test, start)
        step(test, None)

    recording = Recording(settings, cameras, make_ready(settings), count, print_lost)
    header = replace(recording.header, started=rfc3339(time.time()))
    test = _test(header, _thresholds(settings))
    try:
        trace = TraceFile(out, header) if out else trace
        typer.echo(f"watching {', '.join(cameras)}; Ctrl-C ends it", err=True)
        with (
            _progress(for_s * len(cameras), None, as_json) as step,
            signals(recording.loop.stop, lambda: None),
        ):
            recording.run(for_s)
    except OSError as exc:
        raise cannot_write(out or Path(os.curdir), exc) from exc
    finally:
        trace.close()
    if not test.count.watched_s:
        raise ConfigError("no frame was seen, so nothing is counted; see `gesture-agent check`")
    return test


@contextmanager
def _progress(
    seconds: float | None, files: int | None, as_json: bool
) -> Iterator[Callable[[IdleTest, IdleStart | None], None]]:
    """Progress bar on stderr in a terminal; each start becomes a line on stderr at once."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from agent.commands.idle_test_show import line_of

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    shown = console.is_terminal and not as_json
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task("0 starts", total=seconds or files)

        def step(test: IdleTest, start: IdleStart | None) -> None:
            if start is not None:
                console.print(line_of(start))
                return
            starts = len(test.count.starts)
            done = test.count.watched_s if seconds else bar.tasks[0].completed + 1
            bar.update(task, completed=done, description=f"{starts} start{'' if starts == 1 else 's'}")

        yield step
