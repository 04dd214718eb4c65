"""`gesture-agent init --page`: settings with a page and a token, everything else is asked in the browser."""

from __future__ import annotations

import os
import secrets
import shlex
from pathlib import Path

import typer

from agent.commands.init_files import agreed, write_files
from agent.commands.output import echo_below, warn
from agent.errors import GestureAgentError

TOKEN_BYTES = 16


def set_up_in_browser(target: Path, *, yes: bool, force: bool, fetch: bool) -> None:
    """Write the settings, an empty rule file and the token; say what to run and where to look."""
    from agent.commands.models import make_ready
    from agent.commands.this_program import this_program
    from agent.config.atomic_file import NewFile
    from agent.config.load import load
    from agent.installation.secret_place import secret_files, secret_place
    from agent.installation.starter import StarterAction, page_config_text, rule_text

    token = secrets.token_hex(TOKEN_BYTES)
    place = secret_place(target, "web-token", token)
    config = target / "config.toml"
    files = [
        NewFile(config, page_config_text(place.path, relative_to=target).encode()),
        NewFile(target / "rules" / "first.toml", rule_text("thumbs_up", StarterAction()).encode()),
        *secret_files(place, token),
    ]
    try:
        files = agreed(files, yes=yes, force=force)
    except (EOFError, typer.Abort, KeyboardInterrupt) as exc:
        typer.echo("\nStopped; nothing was written.", err=True)
        raise typer.Exit(1) from exc
    write_files(files)
    settings = load(config, os.environ).settings
    if fetch:
        try:
            make_ready(settings)
        except GestureAgentError as exc:
            warn(f"{exc}\nwithout them the agent does not start; again later: {this_program()} models fetch")
    option = "" if target == Path.cwd() else f" --config {shlex.quote(str(config))}"
    typer.echo("\nThis runs the agent:\n")
    typer.echo(f"  {this_program()} run{option}\n")
    typer.echo("Then open this address, which logs you in; it leads through the rest:\n")
    echo_below(f"  http://127.0.0.1:{settings.web.port}/#token={token}")
