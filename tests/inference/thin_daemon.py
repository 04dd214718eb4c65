"""The daemon on the clip, with its classifier on a server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from brokers import Mosquitto, Subscriber
from daemons import CLIP, configured, daemon


@contextmanager
def thin_daemon(folder: Path, server: str, cache: Path, timeout_s: float) -> Iterator[Callable[[], str]]:
    """What its health says of recognition: "online", "away", or "none" before it said anything.

    At the end it has to stop as it should.
    """
    broker = Mosquitto(folder).start()
    subscriber = Subscriber(broker.port, "gesture/thin/#")
    config = configured(
        folder,
        "thin",
        broker.url,
        cache,
        f"""
        [camera.front]
        source = "{CLIP}"
        loop = true
        [recognition]
        backend = "triton"
        triton = {{ url = "{server}", timeout = "{timeout_s:g}s" }}
        """,
    )
    try:
        with daemon(config) as running:

            def recognition() -> str:
                assert running.process.poll() is None, running.said
                told = subscriber.on("bridge/health")
                return str(json.loads(told[-1].payload)["recognition"]["state"]) if told else "none"

            yield recognition
    finally:
        subscriber.close()
        broker.stop()
