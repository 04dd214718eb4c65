"""`gesture-agent check`: checks each part, and shows the settings in force where asked."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.options import AsJson, ConfigFile, examples, loaded
from agent.commands.output import echo_json, is_fancy, quiet_logs, sign
from agent.config.folders import cache_folder, state_folder
from agent.config.problems import ConfigProblems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config.load import Loaded
    from agent.diagnostics import CheckResult

CANNOT_START = 3

EPILOG = examples(
    "gesture-agent check",
    "gesture-agent check --config /etc/gesture-agent/config.toml",
    "gesture-agent check --settings       the settings in force too, after the answer",
    "gesture-agent check --changed        only those that were set, and where",
    "gesture-agent check --json | jq '.verdicts[] | select(.state != \"ok\")'",
)


def check(
    config: ConfigFile = None,
    settings: Annotated[bool, typer.Option("--settings", help="Show the settings in force too.")] = False,
    changed: Annotated[bool, typer.Option("--changed", help="Show the settings that were set too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check configuration, models, rules, folders, cameras and broker.

    One sentence each, and last whether the agent can start. Exit code 3 when something keeps it from that;
    an unreachable camera or broker does not: the agent starts and keeps trying. Secrets are never shown.
    """
    quiet_logs()
    if as_json:
        _as_json(config)
        return
    found = _resolved(loaded(config, need_files=True))
    states: list[str] = []
    for verdict in _verdicts(found):
        states.append(verdict.state)
        text = verdict.text.replace("\n", "\n     ")
        typer.echo(f"{sign(verdict.state)} {verdict.part} {verdict.name}: {text}")
    typer.echo(_answer(found.file, states.count("fail"), states.count("warn")))
    if settings or changed:
        typer.echo()
        _show(found, only_changed=not settings)
    if "fail" in states:
        raise typer.Exit(CANNOT_START)


def _answer(file: Path | None, failures: int, warnings: int) -> str:
    """Return the result of all checks in one sentence."""
    where = f"With {file}" if file else "Without a config.toml"
    if failures:
        parts = "part fails" if failures == 1 else "parts fail"
        return f"{where} the agent cannot start: {failures} {parts}."
    doubts = f"; {warnings} {'warning' if warnings == 1 else 'warnings'}" if warnings else ""
    return f"{where} the agent can start{doubts}."


def _resolved(found: Loaded) -> Loaded:
    """Settings with the default folders filled in."""
    agent = found.settings.agent
    folders = {"state_dir": state_folder(agent, os.environ), "cache_dir": cache_folder(agent, os.environ)}
    settings = found.settings.model_copy(update={"agent": agent.model_copy(update=folders)})
    return replace(found, settings=settings)


def _verdicts(found: Loaded) -> Iterator[CheckResult]:
    from agent.diagnostics import run_checks as check_parts

    return check_parts(found.settings, os.environ)


def _show(found: Loaded, only_changed: bool) -> None:
    """Print TOML that could be read back; non-default values are highlighted with their origin."""
    from agent.capture.source import public_name
    from agent.config.toml_output import TomlLine, lines

    head: TomlLine | None = None
    typer.secho(f"# {found.file or 'no config.toml: the defaults hold'}", dim=is_fancy())
    for line in lines(found, public_name):
        if "[" in line.text[:2]:
            head = line
            if only_changed:
                continue
        if only_changed and line.origin is None:
            continue
        if only_changed and head:
            typer.echo(head.text)
            head = None
        if line.origin:
            typer.echo(typer.style(line.text, bold=is_fancy()) + f"  # {line.origin}")
        else:
            typer.secho(line.text, dim=is_fancy() and "[" not in line.text[:2])


def _as_json(config: Path | None) -> None:
    from agent.capture.source import public_name
    from agent.config.toml_output import masked, origins

    try:
        found = _resolved(loaded(config, need_files=True))
    except ConfigProblems as exc:
        echo_json({"ok": False, "problems": [asdict(problem) for problem in exc.problems]})
        raise typer.Exit(CANNOT_START) from exc
    verdicts: list[CheckResult] = list(_verdicts(found))
    ok = all(verdict.state != "fail" for verdict in verdicts)
    echo_json(
        {
            "ok": ok,
            "file": str(found.file) if found.file else None,
            "settings": masked(found, public_name),
            "set_in": origins(found),
            "warnings": found.warnings,
            "verdicts": [asdict(verdict) for verdict in verdicts],
        }
    )
    if not ok:
        raise typer.Exit(CANNOT_START)
