"""`gesture-agent replay`: the gestures of a clip, as fast as it goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.models import make_ready
from agent.commands.options import ConfigFile, examples, loaded
from agent.commands.output import echo_json, is_fancy, quiet_logs

if TYPE_CHECKING:
    from agent.core.types import Action, GestureEvent
    from agent.replay import Replay, Step

EPILOG = examples(
    "gesture-agent replay clip.mp4",
    "gesture-agent replay frames/ --fps 15 --json | jq -r 'select(.phase == \"started\") | .event_type'",
    "gesture-agent replay clip.mp4 --rules rules/home.toml     what the rules would have done",
)


def replay(
    source: Annotated[
        str, typer.Argument(help="A video file, a folder of numbered images, or gst:PIPELINE.")
    ],
    fps: Annotated[
        float | None,
        typer.Option(min=0.1, max=240, help="Frames a second of a folder of images.", show_default="15"),
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Rule file or folder: tell what the rules would do.", show_default="none"
        ),
    ] = None,
    config: ConfigFile = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="One JSON object a line: the payload of camera/<cam>/event, with at_s."),
    ] = False,
) -> None:
    """Run a clip through the whole chain and show which gestures start and end, and when.

    Nothing is published. Times are those of the clip, not of this machine.
    """
    from agent.config.rule_files import read_rules
    from agent.inference.manifest import load_manifest
    from agent.replay import Replay, published

    if as_json:
        quiet_logs()
    settings = loaded(config).settings
    cache = make_ready(settings)
    book = None
    if rules is not None:
        labels = load_manifest(settings.recognition.gestures).labels
        book = read_rules(rules, labels, settings.debounce).book
    clip = Replay(settings, source, cache, book, fps)
    began = time.time()
    for step in _steps(clip, quiet=as_json):
        if as_json:
            for payload in published(step, began):
                echo_json(payload)
        else:
            _tell(step)
    if not as_json:
        took_s = time.time() - began
        typer.echo(f"{clip.frames} frames in {took_s:.1f} s, {clip.frames / took_s:.0f} a second")


def _steps(clip: Replay, *, quiet: bool) -> Iterator[Step]:
    """With a moving line in a terminal: how far it is."""
    if quiet or not is_fancy():
        yield from clip.steps()
        return
    from rich.console import Console

    with Console(stderr=True).status("starting") as status:
        for step in clip.steps():
            status.update(f"{step.at_s:.1f} s, {clip.frames} frames")
            yield step


def _tell(step: Step) -> None:
    for event in step.events:
        if (line := _line(event)) is not None:
            typer.echo(f"{step.at_s:7.2f} s  {line}")
    for action in step.actions:
        typer.echo(f"{step.at_s:7.2f} s  {_deed(action)}")


def _line(event: GestureEvent) -> str | None:
    from agent.core.types import GestureHeld, GestureStarted

    if isinstance(event, GestureHeld):
        return None
    who = f"{event.hand} hand of person {event.person}"
    if isinstance(event, GestureStarted):
        return typer.style(f"{event.gesture:<10}", bold=True) + f" started  {event.score:.0%} sure, {who}"
    return f"{event.gesture:<10} ended    after {event.held_s:.1f} s, {who}"


def _deed(action: Action) -> str:
    return f"  rule {action.rule}: {action.kind} {action.target} {action.payload}".rstrip()
