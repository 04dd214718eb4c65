"""`gesture-agent outbox`: messages that wait for the broker, and those that it refused."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.commands.options import AsJson, ConfigFile, examples, loaded
from agent.commands.output import echo_json, echo_table
from agent.config.folders import state_folder

if TYPE_CHECKING:
    from agent.delivery.outbox.outbox import Row

app = typer.Typer(no_args_is_help=True)

PAYLOAD_CHARS = 60  # characters of a payload shown to people; JSON has all of it


@app.command(
    "list",
    epilog=examples(
        "gesture-agent outbox list",
        "gesture-agent outbox list --json | jq '.[] | select(.dead)'",
    ),
)
def list_outbox(
    limit: Annotated[int, typer.Option(min=1, help="Maximum number, oldest first.")] = 1000,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List waiting messages and dead letters; also while the agent runs."""
    from agent.delivery.outbox.outbox import list_rows

    rows = list_rows(_folder(config), limit)
    if as_json:
        echo_json([_facts(row) for row in rows])
    elif not rows:
        typer.echo("Nothing waits.")
    else:
        facts = map(_facts, rows)
        echo_table(
            ("id", "kind", "to", "age", "state", "payload"),
            [
                (
                    str(fact["id"]),
                    fact["kind"],
                    fact["target"],
                    f"{fact['age_s']:.0f} s",
                    fact["dead"] or fact["state"],
                    fact["payload"][:PAYLOAD_CHARS],
                )
                for fact in facts
            ],
        )


@app.command(
    "purge",
    epilog=examples(
        "gesture-agent outbox purge --dead",
        "gesture-agent outbox purge --yes",
    ),
)
def purge_outbox(
    dead: Annotated[
        bool, typer.Option("--dead", help="Only dead letters, which the broker refused.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Remove messages without sending them."""
    from agent.delivery.outbox.outbox import purge

    folder = _folder(config)
    if not (yes or as_json):
        what = "all refused messages" if dead else "all messages, waiting ones included,"
        typer.confirm(f"Remove {what} from {folder}?", abort=True)
    removed = purge(folder, dead_only=dead)
    if as_json:
        echo_json({"removed": removed})
    else:
        typer.echo(f"{removed} removed.")


def _folder(config: Path | None) -> Path:
    return state_folder(loaded(config).settings.agent, os.environ)


def _facts(row: Row) -> dict[str, Any]:
    from agent.core.redaction import redacted_payload
    from agent.delivery.clocks import Clocks

    left_s = Clocks().left_s(row.deadline)  # a running agent removes expired rows within seconds
    return {
        "id": row.id,
        "kind": row.kind,
        "target": row.shown,
        "payload": redacted_payload(row.payload.decode(errors="replace")),
        "event_id": row.event_id,
        "retain": row.retain,
        "age_s": round(max(0.0, time.time() - row.deadline.created_wall_s), 1),
        "dead": row.dead,
        "state": "dead" if row.dead else "waits" if left_s > 0 else "expired",
        "left_s": round(max(0.0, left_s), 1),
    }
