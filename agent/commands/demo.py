"""`gesture-agent demo`: a demonstration with whatever this machine has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.models import make_ready
from agent.commands.options import ConfigFile, examples, loaded
from agent.commands.output import quiet_logs
from agent.commands.this_program import this_program
from agent.errors import ConfigError

if TYPE_CHECKING:
    from agent.demo_session import Shown

EPILOG = examples(
    "gesture-agent demo",
    "gesture-agent demo --source v4l2:/dev/video2",
    "gesture-agent demo --source clip.mp4",
    "gesture-agent demo --web     with the page in the browser",
)


def demo(
    source: Annotated[
        str | None,
        typer.Option(help="Camera or clip to use.", show_default="the first camera, else a rendered clip"),
    ] = None,
    web: Annotated[
        bool, typer.Option("--web", help="Serve the web page with preview too; a clip repeats.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Recognize gestures of a camera, or of a clip where there is none, and show every MQTT message.

    Uses an embedded broker and the rules of rules/home.toml. Nothing is left behind but the networks.
    """
    from agent.capture.source import public_name
    from agent.demo_session import CLIP, check_source, first_camera, run_demo

    quiet_logs()
    settings = loaded(config).settings
    if source is not None:
        check_source(source)
    make_ready(settings)
    chosen = source or first_camera()
    if chosen is None:
        if not CLIP.is_file():
            raise ConfigError(f"no camera here, and {CLIP} is missing; name a camera or clip with --source")
        typer.echo(
            f"No camera here: playing {CLIP.name}, a clip of a person that this project rendered itself."
        )
        chosen = str(CLIP)
    else:
        typer.echo(
            f"Watching {public_name(chosen)}. Show it a palm, a fist, a thumb up, ok or two fingers. "
            "Ctrl-C ends it."
        )
    typer.echo("Messages received from the broker: seconds, topic, payload.\n")
    shown = run_demo(settings, chosen, os.environ, _say, web=web, page_ready=_page_ready)
    typer.echo(f"\n{_summary(shown)}")
    typer.echo(f"{shown.started} gestures were published. Next, with your own camera and broker:")
    typer.echo(f"  {this_program()} init ~/gestures")


def _summary(shown: Shown) -> str:
    """Share of the frames that were processed, and advice where it was too low."""
    looked = shown.frames - shown.dropped
    text = f"Of {shown.frames} pictures {looked} were looked at."
    if not shown.too_slow:
        return text
    return (
        f"{text} This machine is too slow for all of them, and gestures pass unseen. What helps: smaller "
        'pictures (width = 640, height = 480), people = 1 and gestures = "gesturenet" under [recognition]; '
        f"`{this_program()} bench` measures what it can do."
    )


def _page_ready(url: str) -> None:
    typer.secho(f"The page is at {url}  Ctrl-C ends it.\n", bold=True)


def _say(at_s: float, topic: str, payload: str) -> None:
    """Print one message; in a terminal gestures are highlighted and states dimmed."""
    ours = topic.startswith("gesture/demo/")
    gesture = topic.endswith(("/event", "/action"))
    line = f"{at_s:6.1f} s  {topic}  {payload}"
    typer.echo(typer.style(line, bold=topic.endswith("/action") or not ours, dim=ours and not gesture))
