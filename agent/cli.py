"""The command `gesture-agent`. Heavy parts are imported by the functions that need them."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from agent import __version__
from agent.commands.lazy_commands import Lazy, LazyGroup, announce
from agent.commands.options import AsJson
from agent.commands.output import echo_json, error_document, wants_colour
from agent.errors import CannotStart, GestureAgentError

STOPPED, CRASHED, CANNOT_START = 0, 1, 3
_OPTIONAL = (
    "onnxruntime",
    "opencv-python-headless",
    "av",
    "paho-mqtt",
    "amqtt",
    "systemd-python",
    "tritonclient",
    "tensorrt",
    "tensorrt-rtx-cu13-bindings",
    "pycuda",
)

# Typer brings a Click of its own since 0.26, and uses the package before: this is the one it raises.
_CLICK_ERROR: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

app = typer.Typer(
    name="gesture-agent",
    cls=LazyGroup,
    help="""Watch cameras for hand gestures and tell an MQTT broker what was seen.

    \b
    The first steps:
      gesture-agent init            choose camera, broker and a first gesture
      gesture-agent check           is all that the settings name there and in order?
      gesture-agent run             watch, until Ctrl-C
    """,
    epilog="""\b
    More:
      gesture-agent replay clip.mp4 --json      gestures of a video or a folder of images
      gesture-agent rules try                   press keys as gestures, see which rules fire
      gesture-agent COMMAND --help              options and examples of one command

    \b
    Exit codes: 0 stopped, 1 crashed, 2 wrong usage, 3 cannot start (the message says what to mend).
    Settings: config.toml beside you or in /etc/gesture-agent; NO_COLOR=1 turns colours off.
    """,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich" if sys.stdout.isatty() else None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
announce(
    app,
    Lazy("init", "Write settings and a first rule: it asks, tries, and says how to run."),
    Lazy("run", "Watch the cameras and publish what is seen: the daemon."),
    Lazy("demo", "See it work now, with a broker inside."),
    Lazy("check", "Show the settings in force and try every part."),
    Lazy("replay", "Show the gestures of a video, a folder of images or a trace."),
    Lazy("record", "Keep a trace of what is seen: numbers, no pictures."),
    Lazy("explain", "Say why a gesture fired or did not, from a trace."),
    Lazy("tune", "Try other thresholds on traces: misses against mistakes."),
    Lazy("evaluate", "Judge the recognition on photographs whose gesture is known."),
    Lazy("bench", "Measure networks and the whole loop on this machine."),
    Lazy("teach", "Teach a gesture of your own."),
    Lazy("fleet", "List the agents of the broker and how they fare."),
)


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda wanted: _show_version() if wanted else None,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """What stands before a command."""


def _show_version() -> None:
    typer.echo(f"gesture-agent {__version__}")
    raise typer.Exit


@app.command()
def version(as_json: AsJson = False) -> None:
    """Show the version of the agent and of what it stands on."""
    import platform

    parts = {name: found for name in _OPTIONAL if (found := _version_of(name))}
    if as_json:
        echo_json(
            {
                "version": __version__,
                "python": platform.python_version(),
                "machine": platform.machine(),
                "system": platform.system(),
                "packages": parts,
            }
        )
        return
    typer.echo(f"gesture-agent {__version__}")
    typer.echo(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    typer.echo(", ".join(f"{name} {found}" for name, found in parts.items()))


announce(
    app,
    Lazy("cameras", "The cameras of this machine: list them, look through them.", group=True),
    Lazy("models", "The networks: list them, fetch them.", group=True),
    Lazy("engines", "Plans for an NVIDIA GPU: build, list, remove them.", group=True),
    Lazy("rules", "The rules: check, test, list them; try them with keys.", group=True),
    Lazy("outbox", "Messages that wait for the broker: list them, remove them.", group=True),
    Lazy("service", "The agent as a service of systemd: install it, see its state.", group=True),
)


def _version_of(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def main() -> None:
    """Run the command line; every error on purpose becomes its message and its exit code."""
    as_json = "--json" in sys.argv[1:]
    try:
        if as_json:  # errors of usage come here too, instead of being printed for people
            sys.exit(app(color=wants_colour(), standalone_mode=False))
        app(color=wants_colour())
    except CannotStart as exc:
        _say(exc, CANNOT_START, as_json=as_json)
    except GestureAgentError as exc:
        _say(exc, CRASHED, as_json=as_json)
    except _CLICK_ERROR as exc:
        _say(exc, exc.exit_code, as_json=as_json)
    except typer.Abort:
        sys.exit(CRASHED)
    except BrokenPipeError:  # the reader has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(STOPPED)


def _say(error: Exception, exit_code: int, *, as_json: bool) -> None:
    text = error.format_message() if isinstance(error, _CLICK_ERROR) else str(error)
    try:
        if as_json:
            echo_json(error_document(error, exit_code) | {"error": text})
        typer.secho(text, fg="red", err=True, color=wants_colour())
    except OSError:  # a full disk, a reader who has left: the exit code still says it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
