"""`gesture-agent replay`: gestures of a clip or a trace, processed at full speed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.models import make_ready
from agent.commands.options import ConfigFile, examples, loaded
from agent.commands.output import echo_json, is_fancy, quiet_logs
from agent.config.folders import state_folder

if TYPE_CHECKING:
    from agent.config.settings import Settings
    from agent.core.rules import RuleSet
    from agent.core.types import Action, GestureEvent
    from agent.playback import ReplaySource, ReplayStep

EPILOG = examples(
    "gesture-agent replay clip.mp4",
    "gesture-agent replay frames/ --fps 15 --json | jq -r 'select(.phase == \"started\") | .event_type'",
    "gesture-agent replay clip.mp4 --rules rules/home.toml     what the rules would have done",
    "gesture-agent replay trace.jsonl --rules rules/           the same of a trace: without any network",
)


def replay(
    source: Annotated[
        str, typer.Argument(help="A video file, a folder of numbered images, gst:PIPELINE, or a trace.")
    ],
    fps: Annotated[
        float | None,
        typer.Option(min=0.1, max=240, help="Frames per second of a folder of images.", show_default="15"),
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Rule file or folder: show what the rules would do.", show_default="none"
        ),
    ] = None,
    config: ConfigFile = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="One JSON object a line: the payload of camera/<cam>/event, with at_s."),
    ] = False,
) -> None:
    """Process a clip through the whole pipeline and show which gestures start and end, and when.

    Nothing is published. Times are those of the clip, not of this machine. A trace (written by `record`)
    passes debounce and rules only: the output is reproducible byte by byte.
    """
    from agent.playback import TraceReplay, published, started_wall_s
    from agent.service.trace_files import is_trace, open_trace

    if as_json:
        quiet_logs()
    settings = loaded(config).settings
    began = time.time()
    trace = open_trace(Path(source)) if is_trace(source) else None
    played: ReplaySource
    if trace:
        played = TraceReplay(settings, trace, _rule_set(rules, trace.header.labels, settings))
        started = started_wall_s(trace)
    else:
        played, started = _clip(settings, source, rules, fps), began
    for step in _steps(played, quiet=as_json):
        if as_json:
            for payload in published(step, started):
                echo_json(payload)
        else:
            _print_step(step)
    if not as_json:
        took_s = time.time() - began
        speed = "" if trace else f" in {took_s:.1f} s, {played.frames / took_s:.0f} a second"
        typer.echo(f"{played.frames} frames{speed}")


def _clip(settings: Settings, source: str, rules: Path | None, fps: float | None) -> ReplaySource:
    from agent.diagnostics import labels_of
    from agent.playback import ClipReplay

    cache, taught = make_ready(settings), state_folder(settings.agent, os.environ)
    rule_set = _rule_set(rules, labels_of(settings.recognition, taught, cache), settings)
    return ClipReplay(settings, source, cache, rule_set, fps=fps, taught=taught)


def _rule_set(rules: Path | None, labels: tuple[str, ...], settings: Settings) -> RuleSet | None:
    from agent.config.rules.files import read_rules

    return None if rules is None else read_rules(rules, labels, settings.debounce).rule_set


def _steps(clip: ReplaySource, *, quiet: bool) -> Iterator[ReplayStep]:
    """Iterate over the steps; in a terminal with a progress line."""
    if quiet or not is_fancy():
        yield from clip.steps()
        return
    from rich.console import Console

    with Console(stderr=True).status("starting") as status:
        for step in clip.steps():
            status.update(f"{step.at_s:.1f} s, {clip.frames} frames")
            yield step


def _print_step(step: ReplayStep) -> None:
    for event in step.events:
        if (line := _line(event)) is not None:
            typer.echo(f"{step.at_s:7.2f} s  {line}")
    for action in step.actions:
        typer.echo(f"{step.at_s:7.2f} s  {_action_text(action)}")


def _line(event: GestureEvent) -> str | None:
    from agent.core.types import GestureHeld, GestureStarted

    if isinstance(event, GestureHeld):
        return None
    who = f"{event.hand} hand of person {event.person}"
    if isinstance(event, GestureStarted):
        return typer.style(f"{event.gesture:<10}", bold=True) + f" started  {event.score:.0%} sure, {who}"
    return f"{event.gesture:<10} ended    after {event.held_s:.1f} s, {who}"


def _action_text(action: Action) -> str:
    from agent.core.rules.formatting import describe_action

    return f"  rule {action.rule}: {describe_action(action)}"
