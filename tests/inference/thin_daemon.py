"""The daemon as a user runs it, on the clip, with its classifier on a server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from brokers import Mosquitto, Subscriber

CLIP = Path(__file__).parents[1] / "data/demo.mp4"


@contextmanager
def thin_daemon(folder: Path, server: str, cache: Path, timeout_s: float) -> Iterator[Callable[[], str]]:
    """What its health says of recognition: "online", "away", or "none" before it said anything.

    At the end it has to stop as it should.
    """
    broker = Mosquitto(folder).start()
    subscriber = Subscriber(broker.port, "gesture/thin/#")
    (folder / "rules").mkdir()
    config = folder / "config.toml"
    config.write_text(
        f"""
        [agent]
        id = "thin"
        rules = "{folder}/rules"
        state_dir = "{folder}/state"
        cache_dir = "{cache}"
        [camera.front]
        source = "{CLIP}"
        loop = true
        [recognition]
        backend = "triton"
        triton = {{ url = "{server}", timeout = "{timeout_s:g}s" }}
        [mqtt]
        url = "{broker.url}"
        """
    )
    process = subprocess.Popen([sys.executable, "-m", "agent", "run", "--config", str(config)])

    def recognition() -> str:
        assert process.poll() is None, "the daemon has ended"
        told = subscriber.on("bridge/health")
        return str(json.loads(told[-1].payload)["recognition"]["state"]) if told else "none"

    try:
        yield recognition
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        subscriber.close()
        broker.stop()
