"""`gesture-agent fleet`: agents on a broker, their health and last gestures."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.fleet_show import TITLES, document, row
from agent.commands.fleet_watch import open_reader, watch_fleet
from agent.commands.options import AsJson, ConfigFile, examples, loaded
from agent.commands.output import echo_json, echo_table, quiet_logs
from agent.errors import CannotStart

if TYPE_CHECKING:
    from agent.config.settings import MqttSettings, Settings

UNWELL = 4  # exit code: an agent is offline or in trouble, or there is none
EMBEDDED_URL = "mqtt://127.0.0.1:1883"
EPILOG = (
    examples(
        "gesture-agent fleet",
        "gesture-agent fleet --watch",
        "gesture-agent fleet --url mqtts://broker.local",
        "gesture-agent fleet --json | jq -r '.agents[] | select(.well | not) | .id'",
        "gesture-agent fleet --forget old-kitchen",
    )
    + """

    \b
    Exit codes: 0 every agent is well, 4 one is offline or in trouble, or there is none,
    1 the broker cannot be reached, 3 the settings must be mended.
    """
)


def fleet(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Update until Ctrl-C.")] = False,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="Use another broker.", show_default="mqtt.url"),
    ] = None,
    forget: Annotated[
        str | None,
        typer.Option(
            "--forget", metavar="ID", help="Remove the retained messages of an agent that no longer exists."
        ),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List the agents of the broker: versions, cameras, health, last gesture.

    Reads the retained messages on the broker ([mqtt] of the settings: address, base, login, TLS) and
    publishes nothing, so a read-only login is enough.
    """
    from agent.delivery.fleet.agents import Fleet

    quiet_logs()
    settings = loaded(config, need_files=True).settings
    mqtt = _broker(settings, url)
    if forget is not None:
        _forget(settings, mqtt, forget, as_json=as_json)
        return
    found = Fleet(mqtt.base)
    if watch:
        watch_fleet(mqtt, found, as_json=as_json)
        return
    with open_reader(mqtt, found) as reader:
        reader.collect()
    now_s = time.time()
    if as_json:
        echo_json(document(found, now_s))
    elif found.agents:
        echo_table(TITLES, [row(agent, now_s) for agent in found.agents])
    else:
        typer.echo(f"No agent has published anything below {mqtt.base}/ on {mqtt.url}.")
    if not found.agents or any(list(agent.troubles(now_s)) for agent in found.agents):
        raise typer.Exit(UNWELL)


def _broker(settings: Settings, url: str | None) -> MqttSettings:
    """Broker to connect to. Raises `CannotStart` for an invalid URL."""
    from pydantic import ValidationError

    from agent.config.settings import MqttSettings

    mqtt = settings.mqtt
    if url is None and mqtt.url == "embedded":
        url = EMBEDDED_URL
    if url is None:
        return mqtt
    try:
        return MqttSettings(**{**dict(mqtt), "url": url})
    except ValidationError as exc:
        raise CannotStart(f'--url "{url}": expected mqtt://HOST[:PORT] or mqtts://HOST[:PORT]') from exc


def _forget(settings: Settings, mqtt: MqttSettings, agent: str, *, as_json: bool) -> None:
    """Empty the retained topics of an agent. Raises `CannotStart` when it is online, or unknown."""
    from agent.delivery.fleet.agents import Fleet
    from agent.delivery.fleet.reader import FleetReader
    from agent.delivery.homeassistant.discovery import filters

    found, left = Fleet(mqtt.base), set[str]()
    prefix = settings.homeassistant.prefix

    def on_message(topic: str, payload: bytes, retained: bool) -> None:
        found.take(topic, payload)
        if retained and payload:
            left.add(topic)

    topics = (f"{mqtt.base}/{agent}/#", *filters(prefix, agent))
    if set(agent) & set("#+/") or not agent:
        raise CannotStart(
            f'--forget "{agent}": expected the id of an agent, as `gesture-agent fleet` shows it'
        )
    with FleetReader(mqtt, topics, on_message) as reader:
        reader.collect()
        if any(seen.state == "online" for seen in found.agents):
            raise CannotStart(f'"{agent}" is online; stop it first, it would publish everything again')
        if not left:
            raise CannotStart(
                f'nothing of an agent "{agent}" is on {mqtt.url}; `gesture-agent fleet` lists them'
            )
        for topic in sorted(left):
            reader.publish(topic, b"")
    if as_json:
        echo_json({"forgotten": sorted(left)})
    else:
        typer.echo(f"{agent}: {len(left)} retained messages removed.")
