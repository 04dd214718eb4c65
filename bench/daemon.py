"""Benchmark of the whole daemon from outside: time to ready, memory, latency, and the cost without networks.

    python bench/daemon.py [CLIP] [--seconds 20]

CLIP (default: the rendered one) is looped at its own pace by `gesture-agent run` against a real mosquitto, or
against the broker inside where there is none.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from rich.console import Console
from rich.table import Table
from running import CLIP, agent_on

from agent.capture.source import open_source
from agent.config.settings import CameraSettings, MqttSettings, OutboxSettings
from agent.core.gesture_pipeline import GesturePipeline
from agent.core.types import LABELS, Box, Detections, Frame, GestureStarted, HandDetection
from agent.delivery.delivery import Delivery

PATIENCE_S = 60.0

Milliseconds = list[float]


@contextmanager
def broker(folder: Path) -> Iterator[int | None]:
    """Start mosquitto and return its port; None where it is not installed."""
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n", encoding="utf-8")
    process = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.kill()


class Ear:
    """MQTT subscriber that measures the latency from frame to event."""

    def __init__(self, port: int) -> None:
        self.event_ms: Milliseconds = []
        self.health: dict[str, Any] = {}
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._hear
        ends = time.monotonic() + PATIENCE_S
        while self._client.connect("127.0.0.1", port) and time.monotonic() < ends:
            time.sleep(0.05)
        self._client.subscribe("gesture/bench/#")
        self._client.loop_start()

    def _hear(self, _client: object, _user: object, message: paho.MQTTMessage) -> None:
        payload = json.loads(message.payload) if message.payload[:1] == b"{" else {}
        if message.topic.endswith("/event") and payload["phase"] == "started":
            self.event_ms.append(payload["latency_ms"])
        elif message.topic.endswith("/response/health"):
            self.health = payload["data"]

    def ask_health(self) -> dict[str, Any]:
        """Request `bridge/health` and return it."""
        self._client.publish("gesture/bench/bridge/request/health", "{}")
        ends = time.monotonic() + PATIENCE_S
        while not self.health and time.monotonic() < ends:
            time.sleep(0.05)
        return self.health


@dataclass(frozen=True)
class Seen:
    """Measurements of the daemon from outside."""

    ready_s: float
    health: dict[str, Any]
    event_ms: Milliseconds


def daemon(clip: Path, seconds: float) -> Seen:
    """Start the daemon, run it for a while, stop it, and return the measurements."""
    with tempfile.TemporaryDirectory() as name, broker(Path(name)) as port:
        folder = Path(name)
        url = f"mqtt://127.0.0.1:{port}" if port else "embedded"
        with agent_on(clip, folder, url) as ready_s:
            ear = Ear(port or 1883)
            time.sleep(seconds)
            health = ear.ask_health()
        return Seen(ready_s, health, ear.event_ms)


def timed(step: Callable[[], object], times: int) -> Milliseconds:
    """Return the milliseconds of each call without the warm-up."""
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        step()
        spent.append((time.perf_counter() - start) * 1000)
    return spent[5:]


def capture(clip: Path) -> Milliseconds:
    """Measure reading and decoding of a frame."""
    source = open_source(CameraSettings(source=str(clip), loop=True), "bench", pace=False)
    source.open()
    spent = timed(source.read, 150)
    source.close()
    return spent


def core() -> Milliseconds:
    """Measure the core from detections of two hands to events and actions."""
    pipeline = GesturePipeline(LABELS)
    box, at = Box(320, 240, 90), iter(np.arange(0, 1000, 1 / 15))
    scores = np.full(6, 0.02, np.float32)
    scores[2] = 0.9
    image = np.zeros((480, 640, 3), np.uint8)

    def step() -> None:
        hands = tuple(HandDetection(0, hand, box, scores) for hand in ("left", "right"))
        pipeline.process(Detections(Frame("bench", 0, float(next(at)), image), 1, hands))

    return timed(step, 2000)


def publish() -> Milliseconds:
    """Measure the cost of an event for the loop; the commit runs in another thread."""
    with tempfile.TemporaryDirectory() as name:
        delivery = Delivery("bench", MqttSettings(url="mqtt://127.0.0.1:9"), OutboxSettings(), Path(name))
        event = GestureStarted(0.0, "front", 0, "right", "stop", 0.9, 0.3)
        spent = timed(lambda: delivery.event(event, max_age_s=1e9), 300)
        delivery.close()
    return spent


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("clip", type=Path, nargs="?", default=CLIP)
    options.add_argument("--seconds", type=float, default=20.0)
    given = options.parse_args()
    console = Console(width=110)
    table = Table("stage", "p50 ms", "p95 ms", title="what is not a network, a frame", title_justify="left")
    for name, spent in (("capture", capture(given.clip)), ("core", core()), ("publish", publish())):
        table.add_row(name, f"{np.percentile(spent, 50):.3f}", f"{np.percentile(spent, 95):.3f}")
    console.print(table)
    seen = daemon(given.clip.resolve(), given.seconds)
    health, events = seen.health, seen.event_ms
    console.print(
        f"ready after {seen.ready_s:.2f} s; {health['rss_mb']} MB of memory after {given.seconds:g} s"
    )
    console.print(f"frame to decision: {health['latency']} ms; by stage: {health['stages']}")
    if events:
        console.print(f"frame to message: median {statistics.median(events):.1f} ms of {len(events)} events")


if __name__ == "__main__":
    main()
