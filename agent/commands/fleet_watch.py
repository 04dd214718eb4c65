"""`fleet --watch`: a live table in a terminal, a line per change in a pipe, or a JSON document per change."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from agent.commands.fleet_show import document, news, picture
from agent.commands.output import echo_json, is_fancy
from agent.errors import BrokerLost

if TYPE_CHECKING:
    from agent.config.settings import MqttSettings
    from agent.delivery.fleet.agents import Fleet
    from agent.delivery.fleet.reader import FleetReader

REFRESH_S = 0.5
RETRY_S = 2.0


def open_reader(mqtt: MqttSettings, found: Fleet) -> FleetReader:
    """Context manager: updates `found` from the broker's messages."""
    from agent.delivery.fleet.reader import FleetReader

    return FleetReader(
        mqtt, found.subscriptions(mqtt.base), lambda topic, payload, _retained: found.take(topic, payload)
    )


def watch_fleet(mqtt: MqttSettings, found: Fleet, *, as_json: bool) -> None:
    """Watch until Ctrl-C. Raises `BrokerLost` if the first connection fails."""
    try:
        if as_json or not is_fancy():
            _watch_lines(mqtt, found, as_json=as_json)
        else:
            _watch_table(mqtt, found)
    except KeyboardInterrupt:
        return


def _turns(mqtt: MqttSettings, found: Fleet) -> Iterator[str]:
    """Yield the broker trouble, or nothing, repeatedly and for ever. Raises if the first connection fails."""
    reached = False
    while True:
        try:
            with open_reader(mqtt, found) as reader:
                reader.collect()
                reached = True
                while True:
                    yield ""
                    reader.step(REFRESH_S)
        except BrokerLost as exc:
            if not reached:
                raise
            yield str(exc)
            time.sleep(RETRY_S)


def _watch_table(mqtt: MqttSettings, found: Fleet) -> None:
    from rich.console import Console
    from rich.live import Live

    drawn_at = 0.0
    with Live(console=Console(), auto_refresh=False, vertical_overflow="crop") as live:
        for problem in _turns(mqtt, found):
            if problem or time.monotonic() - drawn_at >= REFRESH_S:
                drawn_at = time.monotonic()
                live.update(picture(found, mqtt.url, problem), refresh=True)


def _watch_lines(mqtt: MqttSettings, found: Fleet, *, as_json: bool) -> None:
    before: dict[str, str] = {}
    shown: dict[str, Any] = {}
    for problem in _turns(mqtt, found):
        if as_json:
            now = document(found, time.time())
            if now != shown:
                shown = now
                echo_json(now)
        elif problem:
            typer.echo(problem, err=True)
        else:
            for line in news(found, before):
                typer.echo(line)
