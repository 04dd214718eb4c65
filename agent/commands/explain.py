"""`gesture-agent explain`: why a gesture fired or did not, from a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.commands.options import AsJson, ConfigFile, duration, examples, loaded
from agent.commands.output import echo_json, quiet_logs, warn

EPILOG = examples(
    "gesture-agent explain trace.jsonl --at 12.3s",
    "gesture-agent explain trace.jsonl --at 12.3s --rules rules/   the rules' part in it",
)


def explain(
    trace: Annotated[Path, typer.Argument(help="A trace, made by `record` or by the daemon.")],
    at: Annotated[
        float, typer.Option(metavar="TIME", parser=duration, help='Seconds from its start, as in "12.3s".')
    ],
    rules: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Rule file or folder.", show_default="agent.rules, if it is there"),
    ] = None,
    around: Annotated[
        float,
        typer.Option(metavar="TIME", parser=duration, help="Tell what happened this much before and after."),
    ] = 1.0,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Say in sentences what let a gesture through or stopped it at one time of a trace.

    Thresholds, hold, release and cooldown are those of the settings in force; zones, wake gesture and
    the rules' own thresholds are those of the rules.
    """
    from agent.config.mind import build_interpreter
    from agent.config.rule_files import read_rules
    from agent.core.rules import Book
    from agent.core.thresholds import thresholds_of
    from agent.core.trace_why import explain as sentences
    from agent.service.trace import open_trace

    quiet_logs()
    settings = loaded(config).settings
    opened = open_trace(trace)
    labels = opened.header.labels
    path = rules or (settings.agent.rules if settings.agent.rules.exists() else None)
    book = read_rules(path, labels, settings.debounce).book if path else Book()
    if opened.header.thresholds != thresholds_of(settings.debounce):
        warn("this trace was recorded with other [debounce] settings; it is explained by those in force now")
    mind = build_interpreter(settings, labels, book)
    try:
        said = sentences(opened.header, opened.moments(), mind, at, around)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--at") from exc
    if as_json:
        echo_json({"trace": str(trace), "at_s": at, "rules": str(path) if path else None, "says": said})
        return
    typer.secho(f"At {at:.2f} s of {trace.name}:", bold=True)
    for sentence in said:
        typer.echo(sentence)
