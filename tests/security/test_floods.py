"""Somebody on the broker floods the agent: recognition does not notice.

One agent bears all the floods. GESTURE_AGENT_ATTACKS makes each last longer (a factor, 1 is some seconds).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from brokers import Mosquitto, Subscriber
from daemons import CLIP, Daemon, configured, daemon
from support.waiting import until

from agent.delivery.mqtt.id_lease import NEWS, IdConflict, IdLease, LeaseHolder

EVENTS = 3 * int(os.environ.get("GESTURE_AGENT_ATTACKS", "1"))
FOLLOWED = """
[[rule]]
id = "film"
when = { gesture = "stop", if = { topic = "home/tv", is = "on" } }
publish = { topic = "home/lamp", payload = "ON" }
"""


@contextmanager
def flood(subscriber: Subscriber, topic: str, payloads: list[str], a_second: int) -> Iterator[None]:
    """As many messages a second, until the block is left."""
    ended = threading.Event()

    def run() -> None:
        n = 0
        while not ended.wait(0.05):
            for _ in range(a_second // 20):
                subscriber.say(topic, payloads[n % len(payloads)])
                n += 1

    thread = threading.Thread(target=run)
    thread.start()
    yield
    ended.set()
    thread.join()


@pytest.fixture(scope="module")
def flooded(
    tmp_path_factory: pytest.TempPathFactory, cache_dir: Path
) -> Iterator[tuple[Daemon, Subscriber, Subscriber]]:
    """An agent that sees the clip again and again, who hears its events, and somebody else."""
    folder = tmp_path_factory.mktemp("flooded")
    broker = Mosquitto(folder).start()
    hearing, other = Subscriber(broker.port, "gesture/flooded/camera/#"), Subscriber(broker.port, "none")
    camera = f'[camera.front]\nsource = "{CLIP}"\nloop = true'
    config = configured(folder, "flooded", broker.url, cache_dir, camera)
    (folder / "rules/film.toml").write_text(FOLLOWED)
    try:
        with daemon(config) as running:
            until(lambda: hearing.on("front/event"), "the first gesture", 60)
            yield running, hearing, other
    finally:
        hearing.close()
        other.close()
        broker.stop()


@pytest.mark.parametrize(
    ("topic", "payloads", "a_second"),
    [
        ("gesture/flooded/bridge/request/reload", [""], 280),
        ("gesture/flooded/bridge/request/health", [""], 1800),
        ("gesture/flooded/bridge/request/test_rule", ['{"rule": "film"}'], 280),
        ("gesture/flooded/enabled/set", ["maybe", "ON", "on"], 280),
        ("home/tv", ["on", "off", "x" * 9000], 1800),
        ("homeassistant/status", ["online"], 280),
    ],
    ids=["reload", "health", "test_rule", "switch", "followed", "home"],
)
def test_gestures_are_recognised_while_somebody_floods_the_agent(
    flooded: tuple[Daemon, Subscriber, Subscriber], topic: str, payloads: list[str], a_second: int
):
    running, hearing, other = flooded
    lines = running.said.count("\n")
    with flood(other, topic, payloads, a_second):
        before = len(hearing.on("front/event"))
        until(lambda: len(hearing.on("front/event")) >= before + EVENTS, "gestures go on", 60 + 2 * EVENTS)
    assert running.said.count("\n") - lines < 200
    assert running.process.poll() is None


def test_a_flood_of_claims_is_answered_and_told_a_few_times():
    now, told = 0.0, []
    claims = LeaseHolder("kitchen", "t", contested=lambda: told.append(1), clock=lambda: now)
    answers = 0
    for n in range(2800):
        now = n / 280
        answers += claims.may_answer()
        claims.note(IdLease(f"{n}", "host", 0.0))
    assert answers <= 20 + 10 / 0.1
    assert len(told) <= NEWS + 1
    assert claims.conflict == IdConflict("host", "2799", now)
