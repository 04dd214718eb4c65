"""The command `gesture-agent`. Heavy parts are imported by the functions that need them."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from typing import Annotated, Any

import typer

from agent import __version__
from agent.commands import (
    bench,
    check,
    demo,
    engines,
    evaluate,
    explain,
    fleet,
    models,
    outbox,
    record,
    replay,
    rules,
    run,
    service,
    teach,
    tune,
)
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
    help="""Watch cameras for hand gestures and tell an MQTT broker what was seen.

    \b
    The first steps:
      gesture-agent models fetch    get the networks, once
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
app.command(epilog=run.EPILOG, short_help="Watch the cameras and publish what is seen: the daemon.")(run.run)
app.command(epilog=demo.EPILOG, short_help="See it work now, with a broker inside.")(demo.demo)
app.command(epilog=check.EPILOG, short_help="Show the settings in force and try every part.")(check.check)
app.command(epilog=replay.EPILOG, short_help="Show the gestures of a video, a folder of images or a trace.")(
    replay.replay
)
app.command(epilog=record.EPILOG, short_help="Keep a trace of what is seen: numbers, no pictures.")(
    record.record
)
app.command(epilog=explain.EPILOG, short_help="Say why a gesture fired or did not, from a trace.")(
    explain.explain
)
app.command(epilog=tune.EPILOG, short_help="Try other thresholds on traces: misses against mistakes.")(
    tune.tune
)
app.command(epilog=evaluate.EPILOG)(evaluate.evaluate)
app.command(epilog=bench.EPILOG, short_help="Measure networks and the whole loop on this machine.")(
    bench.bench
)
app.command(epilog=teach.EPILOG, short_help="Teach a gesture of your own.")(teach.teach)
app.command(epilog=fleet.EPILOG, short_help="List the agents of the broker and how they fare.")(fleet.fleet)
app.add_typer(models.app, name="models", help="The networks: list them, fetch them.")
app.add_typer(engines.app, name="engines", help="Plans for an NVIDIA GPU: build, list, remove them.")
app.add_typer(rules.app, name="rules", help="The rules: check, test, list them; try them with keys.")
app.add_typer(outbox.app, name="outbox", help="Messages that wait for the broker: list them, remove them.")
app.add_typer(
    service.app, name="service", help="The agent as a service of systemd: install it, see its state."
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


def _version_of(package: str) -> str | None:
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
