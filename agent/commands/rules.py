"""`gesture-agent rules`: check, test, list and try rules without a camera."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from agent.commands.options import AsJson, ConfigFile, RulesPath, examples, loaded
from agent.commands.output import echo_json, echo_table, sign, warn
from agent.config.folders import cache_folder, state_folder
from agent.config.problems import ConfigProblems

if TYPE_CHECKING:
    from agent.config.rules.cases import CaseResult
    from agent.config.rules.files import LoadedRules
    from agent.config.settings import Settings

CASE_FAILED, CANNOT_START = 1, 3

app = typer.Typer(no_args_is_help=True)


@app.command("check", epilog=examples("gesture-agent rules check", "gesture-agent rules check my-rules.toml"))
def check_rules(path: RulesPath = None, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Check the rule files; print errors and warnings. Exit code 3 on errors."""
    try:
        _, _, rules = _read(path, config)
    except ConfigProblems as exc:
        if not as_json:
            raise
        echo_json({"ok": False, "problems": [asdict(problem) for problem in exc.problems]})
        raise typer.Exit(CANNOT_START) from exc
    if as_json:
        echo_json(
            {
                "ok": True,
                "files": [str(file) for file in rules.files],
                "rules": len(rules.rule_set.rules),
                "cases": len(rules.cases),
                "warnings": [asdict(warning) for warning in rules.warnings],
            }
        )
        return
    for warning in rules.warnings:
        warn(str(warning))
    typer.echo(
        f"{sign('ok')} {len(rules.rule_set.rules)} rules in {len(rules.files)} files, "
        f"{len(rules.cases)} cases to test them with"
    )


@app.command("test", epilog=examples("gesture-agent rules test", "gesture-agent rules test my-rules.toml"))
def play_cases(path: RulesPath = None, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Run every [[case]] of the rule files; exit code 1 when one fails.

    A case is a timeline, one letter per tenth of a second, and the rules that must fire in it.
    """
    from agent.config.rules.cases import run_cases

    settings, labels, rules = _read(path, config)
    results = run_cases(rules.cases, labels, settings.debounce)
    failed = sum(not result.passed for result in results)
    if as_json:
        echo_json({"ok": not failed, "cases": [_result_facts(result) for result in results]})
    else:
        for result in results:
            _echo_result(result)
        typer.echo(f"{len(results) - failed} passed, {failed} failed")
    if failed:
        raise typer.Exit(CASE_FAILED)


@app.command(
    "list",
    epilog=examples("gesture-agent rules list", "gesture-agent rules list --json | jq -r '.[].id'"),
)
def list_rules(path: RulesPath = None, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List the rules in the order of evaluation: when each fires and what it does."""
    from agent.core.rules.formatting import describe_actions, describe_conditions, rule_facts

    _, _, rules = _read(path, config)
    if as_json:
        echo_json([{**rule_facts(rule), **_place(rules, rule.id)} for rule in rules.rule_set.rules])
    elif not rules.rule_set.rules:
        typer.echo("No rules.")
    else:
        rows = [
            (
                rule.id,
                describe_conditions(rule),
                describe_actions(rule),
                "{file}:{line}".format(**_place(rules, rule.id)),
            )
            for rule in rules.rule_set.rules
        ]
        echo_table(("rule", "when", "does", "written in"), rows)


@app.command("try", epilog=examples("gesture-agent rules try", "gesture-agent rules try my-rules.toml"))
def try_rules(path: RulesPath = None, config: ConfigFile = None) -> None:
    """Simulate gestures by keys and show which rules would fire; nothing is sent.

    t thumbs_up, f fist, s stop, o ok, 2 two, space no hand; Tab changes the hand, z the zone, q ends.
    A gesture stays until the next key.
    """
    from agent.commands.keyboard_simulator import KeyboardSimulator
    from agent.commands.try_tui import play
    from agent.core.gesture_pipeline import GesturePipeline
    from agent.core.thresholds import thresholds_of

    settings, labels, rules = _read(path, config)
    pipeline = GesturePipeline(
        labels,
        smoothing_s=settings.debounce.smoothing,
        thresholds=thresholds_of(settings.debounce),
        rule_set=rules.rule_set,
    )
    play(
        KeyboardSimulator(pipeline, labels, list(settings.camera)),
        settings.agent.rules if path is None else path,
    )


def _read(path: Path | None, config: Path | None) -> tuple[Settings, tuple[str, ...], LoadedRules]:
    """Load settings, the classifier's labels, and the rules in `path` or of the settings."""
    from agent.config.rules.files import read_rules
    from agent.diagnostics import labels_of

    settings = loaded(config).settings
    state, cache = (folder(settings.agent, os.environ) for folder in (state_folder, cache_folder))
    labels = labels_of(settings.recognition, state, cache)
    source = path or settings.agent.rules
    return settings, labels, read_rules(source, labels, settings.debounce, settings.camera or None)


def _place(rules: LoadedRules, rule: str) -> dict[str, Any]:
    spot = rules.spots[rule]
    return {"file": spot.file, "line": spot.line}


def _echo_result(result: CaseResult) -> None:
    typer.echo(f"{sign('ok' if result.passed else 'fail')} {result.case.title}")
    if result.passed:
        return
    spot, table = result.case.spot, result.case.table
    typer.echo(f"    {spot.file}:{spot.line}")
    for hand, timeline in (("right", table.right), ("left", table.left)):
        if timeline:
            typer.echo(f"    {hand:5} {timeline}")
    for problem in result.problems:
        typer.echo(f"    {problem}")


def _result_facts(result: CaseResult) -> dict[str, Any]:
    return {
        "title": result.case.title,
        "file": result.case.spot.file,
        "line": result.case.spot.line,
        "passed": result.passed,
        "problems": result.problems,
        "fired": [str(fired) for fired in result.fired],
    }
