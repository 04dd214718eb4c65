"""`gesture-agent service`: installs, removes and shows the systemd service."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, TypeAlias

import typer

from agent.commands.options import AsJson, examples
from agent.commands.output import echo_json, sign

app = typer.Typer(no_args_is_help=True)

DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Show every step without performing it.")]


@app.command(
    epilog=examples(
        "gesture-agent service install --dry-run",
        "sudo gesture-agent service install",
        "sudo gesture-agent service install --keys    rules may press keys",
    )
)
def install(
    keys: Annotated[
        bool | None,
        typer.Option(
            "--keys/--no-keys",
            help="Allow rules to press keys (/dev/uinput).",
            show_default="unchanged, at first no",
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Install the agent under /opt, its settings under /etc, and start it; or upgrade it.

    Your changes in /etc/gesture-agent are kept.
    """
    from agent.installation.install import install as do_install

    do_install(typer.echo, keys=keys, dry_run=dry_run)


@app.command(epilog=examples("sudo gesture-agent service uninstall --keep-settings"))
def uninstall(
    keep_settings: Annotated[bool, typer.Option("--keep-settings", help="Keep /etc/gesture-agent.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Stop the service and remove all of it: program, networks, outbox, settings."""
    from agent.installation.install import uninstall as do_uninstall

    do_uninstall(typer.echo, keep_settings=keep_settings, dry_run=dry_run)


@app.command(
    epilog=examples("gesture-agent service status", "gesture-agent service status --json | jq .running")
)
def status(as_json: AsJson = False) -> None:
    """Show whether the service runs, since when, and its status. Exit code 1 where it does not run."""
    from agent.installation.state import read_state

    state = read_state()
    if as_json:
        echo_json(asdict(state))
    elif not state.installed:
        typer.echo(f"{sign('fail')} not installed; try: gesture-agent service install --dry-run")
    else:
        typer.echo(f"{sign('ok' if state.running else 'fail')} {state.state} since {state.since or 'never'}")
        if state.says:
            typer.echo(f"  {state.says}")
        memory = f", {state.memory_bytes / 1e6:.0f} MB" if state.memory_bytes else ""
        typer.echo(
            f"  process {state.pid}{memory}, restarts {state.restarts}, last exit code {state.exit_code}"
        )
        typer.echo(f"  starts at boot: {'yes' if state.at_boot else 'no'}")
    if not state.running:
        raise typer.Exit(1)
