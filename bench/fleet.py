"""Benchmark of many agents on one broker: lost events, latency, and load of the broker.

Each agent is the real delivery stack of the daemon: an outbox on disk, a connection with a last will,
retained states, and threads; only cameras and networks are left out. A few processes hold the agents,
because threads of one process share an interpreter. They make gestures at random times at a given rate, and
a subscriber counts what arrives. Times are monotonic on one machine, from the frame of the event to the
subscriber. Lost is what the broker acknowledged and the subscriber never received; expired what was unsent
at the end of its five seconds, as designed.

make bench-fleet                     100 agents, one gesture a second each, 30 s
python bench/fleet.py --agents 100 --rate 5 --seconds 60
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing as mp
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agent.config.settings import MqttSettings, OutboxSettings
from agent.core.types import GestureEnded, GestureStarted
from agent.delivery.delivery import Delivery

START_S = 120.0
DRAIN_S = 30.0
HEALTH_S = 60.0
GESTURES = ("thumbs_up", "fist", "stop", "ok", "two")
HELD_S = 0.5


@dataclass(frozen=True)
class Plan:
    """Parameters of one process."""

    url: str
    folder: Path
    agents: tuple[str, ...]
    rate: float  # gestures a second of one agent
    seconds: float


class Process:
    """CPU time and memory of a process from /proc."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")

    def cpu_s(self) -> float:
        """Processor time so far, in seconds."""
        after_name = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mb(self) -> float:
        """Resident memory in MB."""
        return int((self._folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


# A process of agents.


def be_agents(plan: Plan, wire: Connection) -> None:
    """Start agents, report ready, wait for the signal, make gestures, drain, report."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    me = Process(os.getpid())
    empty_mb = me.rss_mb()
    acknowledged: list[bytes] = []

    def on_published(topic: str, payload: bytes) -> None:
        if topic.endswith("/event"):
            acknowledged.append(payload)

    mqtt, outbox = MqttSettings(url=plan.url), OutboxSettings()
    agents = [
        Delivery(name, mqtt, outbox, plan.folder / name, on_published=on_published) for name in plan.agents
    ]
    for agent in agents:
        agent.start()
        agent.info({"version": "bench"})
        agent.camera_state("front", "online")
        agent.enabled(True)
    while not all(agent.status().connected for agent in agents):
        time.sleep(0.05)
    wire.send("ready")
    wire.recv()
    cpu_s = me.cpu_s()
    sent = make_gestures(agents, plan)
    used_s = me.cpu_s() - cpu_s
    full_mb = me.rss_mb()
    ends = time.monotonic() + DRAIN_S
    while any(agent.status().depth for agent in agents) and time.monotonic() < ends:
        time.sleep(0.05)
    states = [agent.status() for agent in agents]
    wire.send(
        {
            "sent": sent,
            "acknowledged": [json.loads(payload)["event_id"] for payload in acknowledged],
            "cpu_s": used_s,
            "agent_mb": (full_mb - empty_mb) / len(agents),
            "empty_mb": empty_mb,
            "threads": threading.active_count() / len(agents),
            **{n: sum(getattr(s, n) for s in states) for n in ("refused", "dropped", "reconnects")},
        }
    )
    wire.recv()
    for agent in agents:
        agent.close(1.0)


def make_gestures(agents: Sequence[Delivery], plan: Plan) -> dict[str, float]:
    """Make gestures at random times, each with start and end.

    Return the monotonic time of each event by id.
    """
    dice = random.Random(plan.agents[0])  # noqa: S311 (moments, no secrets)
    count = round(plan.rate * plan.seconds)
    moments = sorted(
        (dice.uniform(0, plan.seconds), n, dice.choice(GESTURES))
        for n in range(len(agents))
        for _ in range(count)
    )
    sent: dict[str, float] = {}
    began, next_health = time.monotonic(), 0.0
    for at, n, gesture in moments:
        while (wait := began + at - time.monotonic()) > 0:
            time.sleep(min(wait, 0.05))
        if at >= next_health:
            next_health = at + HEALTH_S
            for agent in agents:
                agent.health({"uptime_s": round(at), "rss_mb": 0.0})
        for event in (
            GestureStarted(time.monotonic(), "front", n, "right", gesture, 0.9, HELD_S),
            GestureEnded(time.monotonic(), "front", n, "right", gesture, 0.9, HELD_S),
        ):
            event_id = agents[n].event(event)
            assert event_id is not None  # noqa: S101 (starts and ends are always told)
            sent[event_id] = event.at
    return sent


# The subscriber, in a process of its own.


def be_subscriber(port: int, wire: Connection) -> None:
    """Record when each event arrives, until told to stop."""
    heard: dict[str, float] = {}
    counts = {"again": 0, "other": 0}
    granted = threading.Event()

    def on_message(_client: Any, _user: Any, message: paho.MQTTMessage) -> None:
        now = time.monotonic()
        if not message.topic.endswith("/event"):
            counts["other"] += 1
            return
        event_id = json.loads(message.payload)["event_id"]
        counts["again"] += event_id in heard
        heard.setdefault(event_id, now)

    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_connect = lambda c, *_: c.subscribe("gesture/#", qos=1)
    client.on_subscribe = lambda *_: granted.set()
    client.on_message = on_message
    client.connect("127.0.0.1", port)
    client.loop_start()
    granted.wait(START_S)
    wire.send("ready")
    while wire.recv() != "stop":
        wire.send(len(heard))
    client.disconnect()
    client.loop_stop()
    wire.send({"heard": heard, **counts})


# The whole benchmark.


def run(agents: int, processes: int, rate: float, seconds: float) -> dict[str, Any]:
    """Run one measurement; return the figures by name."""
    with tempfile.TemporaryDirectory(prefix="bench-fleet-") as name:
        folder = Path(name)
        port, broker = start_broker(folder)
        try:
            return measure(folder, port, Process(broker.pid), agents, processes, rate, seconds)
        finally:
            broker.terminate()
            broker.wait()


def start_broker(folder: Path) -> tuple[int, subprocess.Popen[bytes]]:
    """Start mosquitto on a free port of this machine."""
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        sys.exit("mosquitto is not installed; apt install mosquitto")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\nmax_queued_messages 0\n")
    process = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)
    ends = time.monotonic() + START_S
    while socket.socket().connect_ex(("127.0.0.1", port)):
        if time.monotonic() > ends or process.poll() is not None:
            sys.exit("mosquitto does not start")
        time.sleep(0.05)
    return port, process


def measure(  # noqa: PLR0917
    folder: Path, port: int, broker: Process, agents: int, processes: int, rate: float, seconds: float
) -> dict[str, Any]:
    """Start all processes, let them run, and combine their reports."""
    context = mp.get_context("spawn")
    wires: list[Connection] = []
    children = []

    def start(target: Any, *words: Any) -> Connection:
        ours, theirs = context.Pipe()
        child = context.Process(target=target, args=(*words, theirs))
        child.start()
        children.append(child)
        return ours

    idle_mb = broker.rss_mb()
    listener = start(be_subscriber, port)
    said(listener)
    began = time.monotonic()
    for part in range(processes):
        names = tuple(f"agent-{n}" for n in range(part, agents, processes))
        plan = Plan(f"mqtt://127.0.0.1:{port}", folder, names, rate, seconds)
        wires.append(start(be_agents, plan))
    for wire in wires:
        said(wire)
    connected_s = time.monotonic() - began
    cpu_s, started = broker.cpu_s(), time.monotonic()
    for wire in wires:
        wire.send("go")
    results = [said(wire, seconds + DRAIN_S + START_S) for wire in wires]
    took_s = time.monotonic() - started
    broker_cpu, broker_mb = (broker.cpu_s() - cpu_s) / took_s, broker.rss_mb()
    sent = {event_id: at for result in results for event_id, at in result["sent"].items()}
    wait_for_the_last(listener, len(sent))
    listener.send("stop")
    told = said(listener)
    for wire in wires:
        wire.send("close")
    for child in children:
        child.join(30)
    acknowledged = {event_id for result in results for event_id in result["acknowledged"]}
    late = np.array([(told["heard"][i] - at) * 1000 for i, at in sent.items() if i in told["heard"]])
    figures = {name: sum(result[name] for result in results) for name in ("refused", "dropped", "reconnects")}
    p50, p95, p99 = np.percentile(late, (50, 95, 99)) if len(late) else (float("nan"),) * 3
    return {
        "agents": agents,
        "processes": processes,
        "gestures_a_second": agents * rate,
        "seconds": round(took_s, 1),
        "connected_s": round(connected_s, 1),
        "sent": len(sent),
        "received": len(late),
        "expired": len(set(sent) - acknowledged - set(told["heard"])),
        "lost": len(acknowledged - set(told["heard"])),
        "received_again": told["again"],
        "other_messages": told["other"],
        **figures,
        "latency_ms": {
            "p50": round(p50, 1),
            "p95": round(p95, 1),
            "p99": round(p99, 1),
            "max": round(float(late.max(initial=0)), 1),
        },
        "broker": {
            "cpu_share": round(broker_cpu, 3),
            "idle_mb": round(idle_mb, 1),
            "mb": round(broker_mb, 1),
        },
        "agent": {
            "mb": round(float(np.mean([result["agent_mb"] for result in results])), 2),
            "cpu_share": round(sum(result["cpu_s"] for result in results) / seconds / agents, 4),
            "threads": round(float(np.mean([result["threads"] for result in results])), 1),
        },
        "process_before_agents_mb": round(float(np.mean([result["empty_mb"] for result in results])), 1),
    }


def said(wire: Connection, limit_s: float = START_S) -> Any:
    """Return the next message of a process; fail when it has died or sends nothing."""
    if not wire.poll(limit_s):
        sys.exit("a process of the bench says nothing any more")
    try:
        return wire.recv()
    except EOFError:
        sys.exit("a process of the bench has died")


def wait_for_the_last(listener: Connection, expected: int) -> None:
    """Wait until all events have arrived, or none for three seconds."""
    before, since = -1, time.monotonic()
    while time.monotonic() - since < 3:
        listener.send("how many")
        count = said(listener)
        if count >= expected:
            return
        if count != before:
            before, since = count, time.monotonic()
        time.sleep(0.1)


def show(figures: dict[str, Any]) -> None:
    """Print the figures."""
    late, broker, agent = figures["latency_ms"], figures["broker"], figures["agent"]
    print(
        f"{figures['agents']} agents in {figures['processes']} processes, all connected after "
        f"{figures['connected_s']} s; {figures['gestures_a_second']:g} gestures a second for "
        f"{figures['seconds']} s\n"
        f"events    {figures['sent']} sent, {figures['received']} received, {figures['lost']} lost, "
        f"{figures['expired']} expired, {figures['received_again']} twice\n"
        f"latency   p50 {late['p50']} ms, p95 {late['p95']} ms, p99 {late['p99']} ms, max {late['max']} ms\n"
        f"broker    {broker['cpu_share'] * 100:.1f} % of a core, {broker['mb']} MB "
        f"({broker['idle_mb']} MB before the agents)\n"
        f"an agent  {agent['mb']} MB and {agent['cpu_share'] * 100:.2f} % of a core in {agent['threads']:g} "
        f"threads for its delivery ({figures['process_before_agents_mb']} MB a process before the first)"
    )


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--agents", type=int, default=100)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--rate", type=float, default=1.0, help="gestures a second of one agent")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = run(given.agents, min(given.processes, given.agents), given.rate, given.seconds)
    print(json.dumps(figures)) if given.json else show(figures)
    if figures["lost"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
