"""`gesture-agent explain`: why a gesture fired or did not, from a trace."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from agent.commands.options import AsJson, ConfigFile, duration, examples, loaded
from agent.commands.output import echo_json, quiet_logs, warn

LAST_S = 120.0  # shown where no time is given

EPILOG = examples(
    "gesture-agent explain                              the last two minutes of the daemon",
    "gesture-agent explain --at 20:15                   of its last hour, by the clock",
    "gesture-agent explain trace.jsonl --at 12.3s",
    "gesture-agent explain trace.jsonl --at 12.3s --rules rules/   the rules' part in it",
)


def explain(
    trace: Annotated[
        Path | None,
        typer.Argument(
            help="A trace, or a folder of them, written by `record` or the daemon.",
            show_default="state_dir/trace, which the daemon writes",
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help='Seconds from its start, as in "12.3s", or the time of day, as in "20:15" or "20:15:30".',
            show_default="the last minutes",
        ),
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Rule file or folder.", show_default="agent.rules, if it is there"),
    ] = None,
    around: Annotated[
        float | None,
        typer.Option(
            metavar="TIME",
            parser=duration,
            help="Explain this much before and after.",
            show_default="1s; 2min where no time is given",
        ),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Explain what started a gesture or prevented it at one time of a trace.

    Thresholds, hold, release and cooldown are those of the settings in force; zones, wake gesture and
    the rules' own thresholds are those of the rules.
    """
    from agent.commands.explain_when import find_moment
    from agent.config.folders import state_folder
    from agent.config.rules.files import read_rules
    from agent.core.rules import RuleSet
    from agent.core.thresholds import thresholds_of
    from agent.core.trace_explain import explain as sentences
    from agent.pipeline import build_pipeline
    from agent.service.trace_files import FOLDER, traces_of

    quiet_logs()
    settings = loaded(config).settings
    place = trace or state_folder(settings.agent, os.environ) / FOLDER
    found = find_moment(traces_of(place), at)
    header = found.header
    path = rules or (settings.agent.rules if settings.agent.rules.exists() else None)
    rule_set = read_rules(path, header.labels, settings.debounce).rule_set if path else RuleSet()
    if header.thresholds != thresholds_of(settings.debounce):
        warn("this trace was recorded with other [debounce] settings; it is explained by those in force now")
    pipeline = build_pipeline(settings, header.labels, rule_set)
    around_s = around if around is not None else LAST_S if at is None else 1.0
    try:
        said = sentences(header, found.records(), pipeline, found.at_s, around_s, time_text=found.time_text)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--at") from exc
    if as_json:
        echo_json(
            {
                "trace": str(found.path), "at_s": round(found.at_s, 3), "at": found.time_text(found.at_s),
                "rules": str(path) if path else None, "says": said,
            }
        )  # fmt: skip
        return
    typer.secho(f"At {found.time_text(found.at_s)} of {found.path.name}:", bold=True)
    for sentence in said:
        typer.echo(sentence)
