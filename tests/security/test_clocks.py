"""The wall clock of the running agent jumps by hours and years and stands at 1970; only time stamps show it.

libfaketime answers for the wall clock alone; the monotonic clock and the one since boot go on, as they do
where somebody sets the clock, or NTP finds the time after a start without a battery.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import Mosquitto, Subscriber
from daemons import CLIP, configured, daemon
from support.waiting import until

ROUNDS = int(os.environ.get("GESTURE_AGENT_ATTACKS", "1"))
JUMPS = ["+3h", "-3h", "+10y", "-20y", "@1970-01-01 00:00:00", "@2037-12-31 23:59:58", "+0"]
LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
RULE = """
[[rule]]
id = "lamp"
when = { gesture = ["stop", "fist", "ok", "thumbs_up", "two"], between = ["00:00", "23:59"] }
publish = { topic = "home/lamp", payload = "{ts}" }
"""

pytestmark = pytest.mark.skipif(
    not LIBRARIES, reason="libfaketime is not installed (apt install libfaketime)"
)


@pytest.fixture
def watched(tmp_path: Path, cache_dir: Path) -> Iterator[tuple[Path, Subscriber]]:
    broker = Mosquitto(tmp_path).start()
    subscriber = Subscriber(broker.port)
    camera = f'[camera.front]\nsource = "{CLIP}"\nloop = true\n[trace]\nkeep = "1m"'
    config = configured(tmp_path, "clocks", broker.url, cache_dir, camera)
    (tmp_path / "rules/lamp.toml").write_text(RULE)
    yield config, subscriber
    subscriber.close()
    broker.stop()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_wall_clock_that_jumps_costs_no_gesture_and_expires_nothing(
    watched: tuple[Path, Subscriber], tmp_path: Path, seed: int
):
    config, subscriber = watched
    hands = tmp_path / "hands"
    hands.write_text("+0")
    environ = {
        **os.environ,
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(hands),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    jumps = JUMPS[2:] if ROUNDS == 1 else JUMPS
    if seed:
        jumps = random.Random(seed).sample(JUMPS, len(JUMPS))  # noqa: S311 (repeatable)
    with daemon(config, environ) as running:
        until(lambda: subscriber.on("front/event"), "the first gesture", 60)
        for jump in jumps:
            hands.write_text(jump)
            events, fired = len(subscriber.on("front/event")), len(subscriber.on("home/lamp"))
            until(lambda n=events: len(subscriber.on("front/event")) > n, f"gestures after {jump}", 120)
            until(lambda n=fired: len(subscriber.on("home/lamp")) > n, f"the rule after {jump}", 120)
        before = len(subscriber.on("response/health"))
        subscriber.publish("gesture/clocks/bridge/request/health", "")
        until(lambda: len(subscriber.on("response/health")) > before, "health")
        assert running.process.poll() is None
    outbox = json.loads(subscriber.on("response/health")[-1].payload)["data"]["outbox"]
    assert (outbox["expired"], outbox["unknown"], outbox["dropped"]) == (0, 0, 0)
    events = [json.loads(heard.payload) for heard in subscriber.on("front/event")]
    years = {dt.datetime.fromisoformat(event["ts"].replace("Z", "+00:00")).year for event in events}
    assert {1970, 2038} <= years  # the hands were turned indeed
    for event in events:
        assert event["ts"] < event["expires_at"]  # both by the same clock, whatever it says
    assert "Traceback" not in running.said


def test_a_start_at_1970_keeps_what_waits_and_says_the_time_it_knows(
    watched: tuple[Path, Subscriber], tmp_path: Path
):
    config, subscriber = watched
    environ = {**os.environ, "LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME": "@1970-01-01 00:00:00"}
    with daemon(
        config, {**environ, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    ) as running:
        until(lambda: len(subscriber.on("front/event")) >= 3, "gestures", 60)
        assert running.process.poll() is None
    assert json.loads(subscriber.on("front/event")[0].payload)["ts"].startswith("1970-01-01T00:0")
    assert "Traceback" not in running.said
