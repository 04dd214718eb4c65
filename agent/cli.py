"""The command line `gesture-agent`. Heavy parts are imported by the functions that need them."""

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
    "cuda-bindings",
    "pycuda",
)

# Typer brings a Click of its own since 0.26, and uses the package before: this is the one it raises.
_CLICK_ERROR: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

app = typer.Typer(
    name="gesture-agent",
    cls=LazyGroup,
    help="""Recognize hand gestures in camera streams and publish them over MQTT.

    \b
    First steps:
      gesture-agent init            choose camera, broker and a first gesture
      gesture-agent check           check configuration, models, rules, cameras and broker
      gesture-agent run             run the agent until Ctrl-C
    """,
    epilog="""\b
    More:
      gesture-agent replay clip.mp4 --json      gestures of a video or a folder of images
      gesture-agent rules try                   press keys as gestures, see which rules fire
      gesture-agent COMMAND --help              options and examples of one command

    \b
    Exit codes: 0 stopped, 1 crashed, 2 wrong usage, 3 cannot start (the message says what to fix).
    Settings: config.toml in the current folder or /etc/gesture-agent; NO_COLOR=1 turns colours off.
    """,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich" if sys.stdout.isatty() else None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
announce(
    app,
    Lazy("init", "Write settings and a first rule: it asks, tries, and says how to run."),
    Lazy("run", "Run the daemon: watch the cameras and publish gestures."),
    Lazy("demo", "Run a demonstration with an embedded broker."),
    Lazy("check", "Check configuration, models, rules, cameras and broker."),
    Lazy("replay", "Show the gestures of a video, a folder of images or a trace."),
    Lazy("record", "Record a trace of what is recognized: numbers, no images."),
    Lazy("explain", "Explain why a gesture fired or did not, from a trace."),
    Lazy("idle-test", "Count what fires while nobody means anything, and what would keep it."),
    Lazy("tune", "Evaluate thresholds on traces: misses and false activations."),
    Lazy("evaluate", "Evaluate the recognition on labelled photographs or videos."),
    Lazy("bench", "Measure the speed of the networks and the whole pipeline."),
    Lazy("teach", "Teach a custom gesture."),
    Lazy("fleet", "List the agents of a broker and their health."),
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
    """Options before the command."""


def _show_version() -> None:
    typer.echo(f"gesture-agent {__version__}")
    raise typer.Exit


@app.command()
def version(as_json: AsJson = False) -> None:
    """Show the versions of the agent and its libraries."""
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
    Lazy("cameras", "List the cameras of this machine and show a picture of one.", group=True),
    Lazy("models", "List, fetch and import networks.", group=True),
    Lazy("engines", "Build, list and remove TensorRT plans for an NVIDIA GPU.", group=True),
    Lazy("rules", "Check, test and list rules; try them with keys.", group=True),
    Lazy("outbox", "List and remove messages that wait for the broker.", group=True),
    Lazy("service", "Install, remove and show the systemd service.", group=True),
)


def _version_of(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def main() -> None:
    """Run the command line; an expected error becomes a message and an exit code."""
    as_json = "--json" in sys.argv[1:]
    try:
        if as_json:  # usage errors come here too, instead of being printed by click
            sys.exit(app(color=wants_colour(), standalone_mode=False))
        app(color=wants_colour())
    except CannotStart as exc:
        _print_error(exc, CANNOT_START, as_json=as_json)
    except GestureAgentError as exc:
        _print_error(exc, CRASHED, as_json=as_json)
    except _CLICK_ERROR as exc:
        _print_error(exc, exc.exit_code, as_json=as_json)
    except typer.Abort as exc:
        if as_json:
            echo_json(error_document(exc, CRASHED) | {"error": "aborted"})
        sys.exit(CRASHED)
    except BrokenPipeError:  # the reader has closed the pipe, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(STOPPED)
    except Exception as exc:
        if as_json:
            echo_json(error_document(exc, CRASHED))
        raise  # a fault of ours: with its traceback


def _print_error(error: Exception, exit_code: int, *, as_json: bool) -> None:
    text = error.format_message() if isinstance(error, _CLICK_ERROR) else str(error)
    try:
        if as_json:
            echo_json(error_document(error, exit_code) | {"error": text})
        typer.secho(text, fg="red", err=True, color=wants_colour())
    except OSError:  # a full disk or a closed pipe: the exit code still reports the error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
