"""`gesture-agent fleet`: the agents of a broker, how they fare, what they saw last."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.commands.options import AsJson, ConfigFile, examples, loaded
from agent.commands.output import echo_json, echo_table, is_fancy, quiet_logs, sign
from agent.errors import BrokerLost, CannotStart

if TYPE_CHECKING:
    from agent.config.settings import MqttSettings, Settings
    from agent.delivery.fleet.agents import AgentSeen, Fleet

UNWELL = 4  # some agent is offline or in trouble, or there is none
REFRESH_S = 0.5
RETRY_S = 2.0
EMBEDDED_URL = "mqtt://127.0.0.1:1883"
TITLES = ("", "agent", "version", "host", "cameras", "last gesture", "p95", "waits", "memory", "up", "")

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
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on, until Ctrl-C.")] = False,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="Another broker.", show_default="mqtt.url"),
    ] = None,
    forget: Annotated[
        str | None,
        typer.Option("--forget", metavar="ID", help="Remove what an agent that is gone has left there."),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List the agents of the broker: versions, cameras, health, what they saw last.

    It reads what the agents keep on the broker ([mqtt] of the settings: address, base, login, TLS) and
    publishes nothing, so a login that may only read will do.
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
        _watch(mqtt, found, as_json=as_json)
        return
    with _reader(mqtt, found) as reader:
        reader.collect()
    now_s = time.time()
    if as_json:
        echo_json(document(found, now_s))
    elif found.agents:
        echo_table(TITLES, [row(agent, now_s) for agent in found.agents])
    else:
        typer.echo(f"No agent has told anything below {mqtt.base}/ on {mqtt.url}.")
    if not found.agents or any(list(agent.troubles(now_s)) for agent in found.agents):
        raise typer.Exit(UNWELL)


def _broker(settings: Settings, url: str | None) -> MqttSettings:
    """Where to listen. Raises `CannotStart` for a URL that is none."""
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


def _reader(mqtt: MqttSettings, found: Fleet) -> Any:
    from agent.delivery.fleet.reader import FleetReader

    return FleetReader(
        mqtt, found.subscriptions(mqtt.base), lambda topic, payload, _retained: found.take(topic, payload)
    )


# What is shown of an agent.


def row(agent: AgentSeen, now_s: float) -> tuple[str, ...]:
    """A line of the table."""
    from agent.delivery.fleet.agents import span, text, when

    troubles = list(agent.troubles(now_s))
    online = sum(camera.state == "online" for camera in agent.cameras.values())
    last = agent.last()
    gesture = f"{last[0]} ({last[1]}), {span(now_s - (when(last[2]) or now_s))} ago" if last else "-"
    state = "fail" if agent.state != "online" else "warn" if troubles else "ok"
    notes = troubles or (["switched off, cameras are closed"] if agent.enabled is False else [])
    return (
        sign(state),  # type: ignore[arg-type] # one of the three
        agent.id,
        text(agent.info.get("version", "-")),
        text(agent.info.get("host", "-")),
        f"{online}/{len(agent.cameras)}" + _fps(agent),
        gesture,
        _unit(agent.number("latency", "p95"), "ms"),
        _unit(agent.number("outbox", "depth"), ""),
        _unit(agent.number("rss_mb"), "MB"),
        span(up) if (up := agent.number("uptime_s")) is not None and agent.state == "online" else "-",
        "; ".join(notes),
    )


def _fps(agent: AgentSeen) -> str:
    rates = [agent.number("camera", name, "fps") for name in agent.cameras]
    known = [rate for rate in rates if rate is not None]
    return f", {sum(known) / len(known):.0f}/s" if known and agent.state == "online" else ""


def _unit(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.0f} {unit}".rstrip()


def document(found: Fleet, now_s: float) -> dict[str, Any]:
    """All of it, for programs."""
    return {"agents": [_facts(agent, now_s) for agent in found.agents]}


def _facts(agent: AgentSeen, now_s: float) -> dict[str, Any]:
    troubles = list(agent.troubles(now_s))
    last = agent.last()
    return {
        "id": agent.id,
        "state": agent.state,
        "well": not troubles,
        "troubles": troubles,
        "enabled": agent.enabled,
        "last": None if last is None else {"gesture": last[0], "camera": last[1], "ts": last[2]},
        "cameras": {
            name: {"state": c.state, "reason": c.reason, "gesture": c.gesture, "since": c.since}
            for name, c in sorted(agent.cameras.items())
        },
        "info": agent.info,
        "health": agent.health,
    }


# --watch: a table that lives in a terminal, a line a change in a pipe, a document a change for programs.


def _watch(mqtt: MqttSettings, found: Fleet, *, as_json: bool) -> None:
    try:
        if as_json or not is_fancy():
            _watch_lines(mqtt, found, as_json=as_json)
        else:
            _watch_table(mqtt, found)
    except KeyboardInterrupt:
        return


def _turns(mqtt: MqttSettings, found: Fleet) -> Iterator[str]:
    """Now and then, for ever: what is wrong with the broker, or nothing. The first failure is an error."""
    reached = False
    while True:
        try:
            with _reader(mqtt, found) as reader:
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
                live.update(_picture(found, mqtt.url, problem), refresh=True)


def _picture(found: Fleet, url: str, problem: str) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    now_s = time.time()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in TITLES:
        table.add_column(title, overflow="fold")
    for agent in found.agents:
        table.add_row(*map(Text.from_ansi, row(agent, now_s)))
    online = sum(agent.state == "online" for agent in found.agents)
    head = f"{online} of {len(found.agents)} agents online, {url}, {time.strftime('%H:%M:%S')}; Ctrl-C ends"
    return Group(Text(head, style="dim"), table, Text(problem, style="red"))


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
            for line in _news(found, before):
                typer.echo(line)


def _news(found: Fleet, before: dict[str, str]) -> Iterator[str]:
    """A line for every agent that is not as it was."""
    for agent in found.agents:
        now = "; ".join(agent.troubles(time.time())) or agent.state
        last = agent.last()
        if last is not None:
            now += f"; {last[0]} ({last[1]}) at {last[2]}"
        if before.get(agent.id) != now:
            before[agent.id] = now
            yield f"{agent.id}: {now}"


def _forget(settings: Settings, mqtt: MqttSettings, agent: str, *, as_json: bool) -> None:
    """Empty its retained topics. Raises `CannotStart` when it is online, or unknown."""
    from agent.delivery.fleet.agents import Fleet
    from agent.delivery.fleet.reader import FleetReader

    found, left = Fleet(mqtt.base), set[str]()
    prefix = settings.homeassistant.prefix

    def heard(topic: str, payload: bytes, retained: bool) -> None:
        found.take(topic, payload)
        if retained and payload:
            left.add(topic)

    topics = (f"{mqtt.base}/{agent}/#", f"{prefix}/device/{agent}/config", f"{prefix}/+/{agent}/+/config")
    if set(agent) & set("#+/") or not agent:
        raise CannotStart(
            f'--forget "{agent}": expected the id of an agent, as `gesture-agent fleet` shows it'
        )
    with FleetReader(mqtt, topics, heard) as reader:
        reader.collect()
        if any(seen.state == "online" for seen in found.agents):
            raise CannotStart(f'"{agent}" is online; stop it first, it would tell everything again')
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
