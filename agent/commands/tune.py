"""`gesture-agent tune`: trade-off between misses and false activations over recorded traces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.commands.labelled_traces import labelled_traces_of
from agent.commands.options import AsJson, ConfigFile, duration, examples, loaded
from agent.commands.output import echo_json, echo_table, quiet_logs
from agent.core.duration import format_duration
from agent.core.types import NO_GESTURE
from agent.errors import ConfigError

if TYPE_CHECKING:
    from agent.commands.tune_plot import Plot
    from agent.core.thresholds import Thresholds
    from agent.core.trace_tune import LabelledTrace, TuningResult

EPILOG = examples(
    "gesture-agent tune evening.jsonl        idle recording: every start is a false activation",
    "gesture-agent tune clip.jsonl --truth clip.json --out trade.svg",
    "gesture-agent tune *.jsonl --truth shown.csv --confidence 0.5,0.6,0.7 --hold 200ms,300ms --all",
    "gesture-agent tune *.jsonl --of stop --confidence 0.8,0.9,0.95",
    "gesture-agent tune *.jsonl --truth shown.csv --suggest   lines for config.toml",
    "gesture-agent tune *.jsonl --truth shown.csv --intent    facing, still and the others, one by one",
)
CONFIDENCES = "0.5,0.55,0.6,0.65,0.7,0.75,0.8,0.85,0.9,0.95"
HOLDS = "200ms,300ms,400ms,500ms,700ms"
RELEASES = "250ms,350ms,500ms"


def tune(
    traces: Annotated[list[Path], typer.Argument(help="Traces, written by `record` or the daemon.")],
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What was meant: JSON or CSV with gesture, from_s, to_s (and trace, for several).",
            show_default="none: every start counts as false",
        ),
    ] = None,
    confidence: Annotated[
        str, typer.Option(metavar="LIST", help="Confidence thresholds to try.")
    ] = CONFIDENCES,
    of: Annotated[
        str | None,
        typer.Option(
            metavar="GESTURE",
            help="Try them for this gesture only.",
            show_default="for all gestures alike",
        ),
    ] = None,
    hold: Annotated[str, typer.Option(metavar="LIST", help="Hold times to try.")] = HOLDS,
    release: Annotated[str, typer.Option(metavar="LIST", help="Release times to try.")] = RELEASES,
    raised: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="Heights of the hand to try: 0 hips, 1 shoulders, -1 anywhere.",
            show_default="that of the settings",
        ),
    ] = "",
    lean: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="How far a hand may lean from upright, in degrees; 180: any way.",
            show_default="that of the settings",
        ),
    ] = "",
    advise: Annotated[
        bool,
        typer.Option("--suggest", help="Suggest the best confidence of each gesture on these traces."),
    ] = False,
    intent: Annotated[
        bool,
        typer.Option("--intent", help="Show what each intent setting suppresses here, and its cost."),
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Show all combinations, not only Pareto-optimal ones.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Write the plot as SVG, not to the terminal.")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate other thresholds on recorded traces: misses, false activations and delay.

    The settings in force come first, marked with X; where gestures have a confidence of their own, the
    lowest and the highest are shown. `keep` stays as far below confidence as it is in the settings.
    """
    from agent.core.thresholds import thresholds_of
    from agent.core.trace_tune import grid, sweep, unbeaten

    quiet_logs()
    debounce = loaded(config).settings.debounce
    labelled_traces = labelled_traces_of(traces, truth, debounce.smoothing)
    gestures = _gestures(of, labelled_traces)
    confidences = _numbers(confidence, 0, 1, "a confidence is from 0 to 1")
    if advise:
        _suggest(labelled_traces, thresholds_of(debounce), gestures, confidences, as_json=as_json)
        return
    if intent:
        from agent.commands.tune_intent import show_intent

        show_intent(labelled_traces, thresholds_of(debounce), as_json=as_json)
        return
    tried = grid(
        thresholds_of(debounce),
        confidences,
        _durations(hold),
        _durations(release),
        raised=_numbers(raised, -1, 2, "a height is from -1 to 2; 0 is at the hips, 1 at the shoulders"),
        lean=_numbers(lean, 0, 180, "degrees from 0, upright, to 180, any way"),
        of=of,
    )
    with _progress(len(tried)) as step:
        outcomes = sweep(labelled_traces, tried, step)
    best = unbeaten(outcomes)
    if as_json:
        echo_json({"outcomes": [_facts(o, best, outcomes[0]) for o in outcomes]})
        return
    shown = outcomes if every else [outcomes[0], *(o for o in best if o is not outcomes[0])]
    echo_table(_TITLES, [_row(o, best, outcomes[0], of) for o in shown])
    typer.echo(_sum_up(outcomes[0], len(labelled_traces)))
    _show(_plot(outcomes, best, of), out)


def _suggest(
    labelled_traces: list[LabelledTrace],
    now: Thresholds,
    gestures: list[str],
    confidences: list[float],
    *,
    as_json: bool,
) -> None:
    """Print the settings in force and the suggested ones, the latter as lines for `config.toml`."""
    from agent.core.trace_suggest import rounds, suggest
    from agent.core.trace_tune import evaluate_thresholds

    with _progress(rounds(gestures, confidences)) as step:
        first, found = (
            evaluate_thresholds(labelled_traces, now),
            suggest(labelled_traces, now, gestures, confidences, step),
        )
    if as_json:
        echo_json({"outcomes": [_facts(o, [found], first) for o in (first, found)]})
        return
    if found.thresholds == now:
        echo_table(_TITLES, [_row(first, [], first, None)])
        typer.echo("Nothing was found that does better on these traces than the settings in force.")
        return
    echo_table(_TITLES, [_row(o, [found], first, None) for o in (first, found)])
    typer.echo("X: the settings in force, o: with these lines in config.toml\n\n[debounce.confidence_of]")
    for gesture, asked in found.thresholds.confidence_of:
        typer.echo(f"{gesture} = {asked:g}")
    typer.echo(
        "\nChosen on these traces, so others will gain less: try them on an evening that is not in here."
    )


def _plot(outcomes: list[TuningResult], best: list[TuningResult], of: str | None) -> Plot:
    """Plot against misses; without any, against delay or hold."""
    from agent.commands.tune_plot import Plot, Point

    now = outcomes[0]
    if any(o.missed for o in outcomes):
        x_name, xs = "gestures missed, %", [100 * o.missed_share for o in outcomes]
    elif now.gestures:
        x_name, xs = "delay, ms", [1000 * (o.delay_s or 0.0) for o in outcomes]
    else:
        x_name, xs = "hold, ms", [1000 * o.thresholds.hold_s for o in outcomes]
    points = [
        Point(
            x,
            float(o.false + o.wrong),
            "now" if o is now else "best" if o in best else "tried",
            ", ".join(map(" ".join, zip(_TITLES[1:], _row(o, best, now, of)[1:], strict=True))),
        )
        for x, o in zip(xs, outcomes, strict=True)
    ]
    return Plot(points, x_name, "false activations")


def _show(plot: Plot, out: Path | None) -> None:
    if out is None:
        typer.echo("\n" + plot.as_text())
        return
    try:
        out.write_text(plot.as_svg(), encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"{out}: {exc.strerror}; choose another place with --out") from exc
    typer.echo(f"plot: {out}", err=True)


_TITLES = (
    "",
    "confidence",
    "keep",
    "hold",
    "release",
    "raised",
    "lean",
    "missed",
    "wrong",
    "false",
    "false/h",
    "delay",
)


def _confidence(by: Thresholds, of: str | None) -> str:
    if of is not None:
        return f"{by.required_confidence(of):g}"
    asked = [by.confidence, *dict(by.confidence_of).values()]
    return f"{min(asked):g}-{max(asked):g}" if min(asked) < max(asked) else f"{by.confidence:g}"


def _row(o: TuningResult, best: list[TuningResult], now: TuningResult, of: str | None) -> list[str]:
    by = o.thresholds
    return [
        "X" if o is now else "o" if o in best else ".",
        _confidence(by, of),
        f"{by.keep:g}",
        format_duration(by.hold_s),
        format_duration(by.release_s),
        f"{by.raised:g}",
        f"{by.lean:g}",
        f"{o.missed} of {o.gestures}",
        str(o.wrong),
        str(o.false),
        f"{o.false_per_hour:.1f}",
        "" if o.delay_s is None else f"{o.delay_s * 1000:.0f}ms",
    ]


def _facts(o: TuningResult, best: list[TuningResult], now: TuningResult) -> dict[str, Any]:
    facts = asdict(o)
    facts["thresholds"]["confidence_of"] = dict(o.thresholds.confidence_of)
    del facts["delays_s"]
    return {
        **facts,
        "missed_share": round(o.missed_share, 4),
        "false_per_hour": round(o.false_per_hour, 3),
        "delay_s": o.delay_s,
        "best": o in best,
        "now": o is now,
    }


def _sum_up(now: TuningResult, traces: int) -> str:
    return (
        f"{traces} traces, {now.length_s:.0f} s, of which {now.idle_s:.0f} s without a gesture; "
        "X: the settings in force, o: no other one is better in all. wrong: starts while another gesture "
        "was shown, or twice in one; false: while none was shown; delay: median, from showing to start"
    )


def _gestures(name: str | None, labelled_traces: list[LabelledTrace]) -> list[str]:
    """Gestures of the traces, or the given one."""
    known = list(
        dict.fromkeys(
            label for labelled in labelled_traces for label in labelled.labels if label != NO_GESTURE
        )
    )
    if name is not None and name not in known:
        raise typer.BadParameter(f"{name!r}; the traces know {', '.join(known)}", param_hint="--of")
    return known if name is None else [name]


def _numbers(text: str, low: float, high: float, expected: str) -> list[float]:
    """Parse a list of numbers, empty for an empty text; `expected` is for the error message."""
    from agent.core.numbers import read_float

    try:
        numbers = [read_float(part) for part in text.split(",") if text]
    except ValueError as exc:
        raise typer.BadParameter(f"{text!r}: numbers with commas between, as in 0.6,0.7") from exc
    if not all(low <= number <= high for number in numbers):
        raise typer.BadParameter(f"{text!r}: {expected}")
    return numbers


def _durations(text: str) -> list[float]:
    return [duration(part) for part in text.split(",")]


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """Progress bar on stderr, in a terminal only."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("thresholds", total=total)
        yield lambda: bar.advance(task)
