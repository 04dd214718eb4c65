"""Output of `gesture-agent fleet`: table rows, JSON, and changes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from agent.commands.output import sign

if TYPE_CHECKING:
    from rich.console import RenderableType

    from agent.delivery.fleet.agents import AgentSeen, Fleet

TITLES = ("", "agent", "version", "host", "cameras", "last gesture", "p95", "waits", "memory", "up", "")


def row(agent: AgentSeen, now_s: float) -> tuple[str, ...]:
    """Build the table row of an agent."""
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
    """Return the state of all agents as JSON data."""
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


def picture(found: Fleet, url: str, problem: str) -> RenderableType:
    """Render the state of all agents for a terminal."""
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


def news(found: Fleet, before: dict[str, str]) -> Iterator[str]:
    """Return a line for every agent whose state changed."""
    for agent in found.agents:
        now = "; ".join(agent.troubles(time.time())) or agent.state
        last = agent.last()
        if last is not None:
            now += f"; {last[0]} ({last[1]}) at {last[2]}"
        if before.get(agent.id) != now:
            before[agent.id] = now
            yield f"{agent.id}: {now}"
