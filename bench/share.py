"""Share of one core and memory of the daemon, at a camera's own frame rate, in several scenes.

    python bench/share.py [--seconds 60] [--fps 15] [--scenes nobody grey down gesturing] [--cameras 1 2 4 8]

"nobody" is the room of the demo's clip from a camera that sways, "grey" an even picture that does not, both
with a camera's noise; "down" a person whose hands are down, "gesturing" the clip itself. With several cameras
all show the clip. Pictures are 1280 x 720, read from a video file, so decoding it is in the figures ("file":
decoding alone, in one thread); the broker is inside. "looks" are frames a second that each camera got a look
at, least and most; "latency" is from frame to decision.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import paho.mqtt.client as paho
import psutil
from paho.mqtt.enums import CallbackAPIVersion
from peers import scenes
from rich.console import Console
from rich.table import Table
from running import agent_on

from agent.core.types import Image
from agent.delivery.mqtt.embedded import FIRST_PORT, PORTS

SIZE = (1280, 720)
SETTLE_S = 8.0  # seconds until the idle throttle is active
STILLS = {"nobody": "nobody", "down": "hands down", "gesturing": "demo clip"}


def written(pictures: Sequence[Image], path: Path, fps: float) -> Path:
    """Write a video file with this frame rate."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), fps, SIZE)
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path


def decoding(path: Path, fps: float) -> float:
    """Return the share of one core that decoding the file takes at its pace, without any conversion."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        began = time.process_time()
        frames = sum(1 for _ in container.decode(stream))
        return (time.process_time() - began) / frames * fps


def broker_port(agent: psutil.Process) -> int:
    """Return the port of the agent's embedded broker: the first free one from 1883 on."""
    listening = [c.laddr.port for c in agent.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    return next(port for port in sorted(listening) if FIRST_PORT <= port < FIRST_PORT + PORTS)


def health(port: int) -> dict[str, Any]:
    """Request `bridge/health` and return it."""
    heard, answer = threading.Event(), "gesture/bench/bridge/response/health"
    said: dict[str, Any] = {}

    def on_message(_client: object, _user: object, message: paho.MQTTMessage) -> None:
        if message.topic == answer:  # amqtt sends retained messages of other topics as well
            said.update(json.loads(message.payload)["data"])
            heard.set()

    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_message = on_message
    client.on_subscribe = lambda *_: client.publish("gesture/bench/bridge/request/health", "{}")
    client.connect("127.0.0.1", port)
    client.subscribe(answer)
    client.loop_start()
    heard.wait(30)
    client.loop_stop()
    client.disconnect()
    return said


def measure(
    clip: Path, cameras: int, seconds: float, more: str
) -> tuple[float, float, float, dict[str, Any]]:
    """Return share of one core, MB, seconds to ready, and health; over `seconds` after it has settled."""
    others = "".join(f'[camera.c{i}]\nsource = "{clip}"\nloop = true\n' for i in range(1, cameras))
    with (
        tempfile.TemporaryDirectory() as name,
        agent_on(clip, Path(name), "embedded", others + more) as ready_s,
    ):
        agent = max(psutil.Process().children(), key=lambda child: child.create_time())
        time.sleep(SETTLE_S)
        before, began = agent.cpu_times(), time.monotonic()
        time.sleep(seconds)
        after, passed = agent.cpu_times(), time.monotonic() - began
        share = (after.user + after.system - before.user - before.system) / passed
        return share, agent.memory_info().rss / 1e6, ready_s, health(broker_port(agent))


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--fps", type=float, default=15.0)
    options.add_argument("--scenes", nargs="*", default=["grey", "nobody", "down", "gesturing"])
    options.add_argument("--cameras", type=int, nargs="*", default=[])
    options.add_argument("--profile", default="balanced")
    given = options.parse_args()
    made = scenes(SIZE, 150, None) | {"demo clip": scenes((640, 480), 1, None)["demo clip"]}
    made["demo clip"] = [cv2.resize(picture, SIZE) for picture in made["demo clip"]]
    noise = np.random.default_rng(0).integers(-3, 4, (SIZE[1], SIZE[0], 3), np.int16)
    made["grey"] = [(np.roll(noise, 7 * seq, axis=1) + 128).astype(np.uint8) for seq in range(150)]
    more = f'[recognition]\nprofile = "{given.profile}"\n' if given.profile != "balanced" else ""
    columns = ("scene", "cameras", "of one core", "file", "MB", "ready s", "busy", "looks", "latency ms")
    table = Table(*columns, "others took")
    with tempfile.TemporaryDirectory() as folder:
        runs = [(scene, 1) for scene in given.scenes] + [("gesturing", count) for count in given.cameras]
        for scene, count in runs:
            clip = written(made[STILLS.get(scene, scene)], Path(folder) / "scene.mp4", given.fps)
            psutil.cpu_percent()
            share, mb, ready_s, said = measure(clip, count, given.seconds, more)
            others = psutil.cpu_percent() / 100 - share / (os.cpu_count() or 1)
            load = said.get("load", {"busy": "-", "looks": {}})
            looks = load["looks"].values() or [0]
            table.add_row(
                scene, str(count), f"{share:.1%}", f"{count * decoding(clip, given.fps):.1%}", f"{mb:.0f}",
                f"{ready_s:.2f}", str(load["busy"]), f"{min(looks)} to {max(looks)}",
                str(said.get("latency")), f"{max(others, 0):.0%}",
            )  # fmt: skip
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
