"""NaN, infinity and 5,000 digits wherever the agent reads a number: it goes on and says what it refused.

A reload a second is what an agent grants: each number is tried in one place of a rule, in all of them where
GESTURE_AGENT_ATTACKS asks for more than one round.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from brokers import Mosquitto, Subscriber
from daemons import CLIP, configured, daemon
from support.waiting import until

from agent.capture.folder import natural_key
from agent.delivery.clocks import Clocks, Deadline
from agent.delivery.outbox.row import Row, RowError, from_columns, to_columns
from agent.web.messages import as_text

DIGITS = "9" * 5000
RULES = """
[[rule]]
id = "bright"
when = { gesture = "stop", if = { topic = "home/lamp/brightness", below = 50 } }
publish = { topic = "home/lamp/set", payload = "ON" }

[[rule]]
id = "dim"
when = { gesture = "fist", move = "vertical" }
dial = { topic = "home/lamp/set", from = 0, to = 255, step = 5, follow = "home/lamp/brightness" }
"""
VALUES = [
    "NaN",
    "nan",
    '"nan"',
    "Infinity",
    "-inf",
    "1e999",
    DIGITS,
    "-" + DIGITS,
    '{"a": NaN}',
    f"[{DIGITS}]",
]
NUMBERS = ["nan", "inf", "-inf", "1e-320", "1e999", DIGITS, "0x" + "f" * 5000, "-0"]
PLACES = ["from = 0,", "step = 5", "below = 50"]
EVERYWHERE = [(place, number) for place in PLACES for number in NUMBERS]
ROUNDS = int(os.environ.get("GESTURE_AGENT_ATTACKS", "1"))
TRIED = EVERYWHERE if ROUNDS > 1 else [(PLACES[n % 3], number) for n, number in enumerate(NUMBERS)]


@pytest.fixture
def watched(tmp_path: Path, cache_dir: Path):
    broker = Mosquitto(tmp_path).start()
    subscriber = Subscriber(broker.port, "gesture/numbers/#")
    camera = f'[camera.front]\nsource = "{CLIP}"\nloop = true'
    config = configured(tmp_path, "numbers", broker.url, cache_dir, camera)
    (tmp_path / "rules/lamp.toml").write_text(RULES)
    yield config, subscriber
    subscriber.close()
    broker.stop()


def test_no_number_from_outside_ends_the_agent(watched: tuple[Path, Subscriber], tmp_path: Path):
    config, subscriber = watched
    subscriber.publish("home/lamp/brightness", "NaN", retain=True)  # repeats at every start
    rules = tmp_path / "rules/lamp.toml"

    def goes_on(after: str) -> None:
        before = len(subscriber.on("front/event"))
        until(lambda: len(subscriber.on("front/event")) > before, f"gestures after {after}", 60)

    def answer(request: str, payload: str) -> dict[str, Any]:
        before = len(subscriber.on(f"response/{request}"))
        subscriber.publish(f"gesture/numbers/bridge/request/{request}", payload)
        until(lambda: len(subscriber.on(f"response/{request}")) > before, f"an answer to {request}")
        return dict(json.loads(subscriber.on(f"response/{request}")[-1].payload))

    with daemon(config) as running:
        goes_on("a retained NaN")
        for value in VALUES:
            subscriber.publish("home/lamp/brightness", value)
            assert answer("health", f'{{"transaction": {value}}}')["status"] in {"ok", "error"}
        goes_on("values that are no numbers")
        for place, number in TRIED:
            key = place.partition(" =")[0]
            broken = RULES.replace(place, f"{key} = {number}" + ("," if place.endswith(",") else ""))
            rules.write_text(broken)
            told = answer("reload", "")
            assert told["status"] == "ok" or "lamp.toml" in told["error"], (place, number[:20], told)
        goes_on("numbers in rules")
        assert running.process.poll() is None
        assert "Traceback" not in running.said


@pytest.mark.parametrize("name", ["1²3.jpg", "٣.jpg", "9" * 240 + ".jpg", "²"])
def test_no_digit_in_a_file_name_is_a_fault(name: str):
    assert natural_key(Path("2.jpg")) < natural_key(Path("10.jpg"))
    assert sorted([Path("2.jpg"), Path(name), Path("10.jpg")], key=natural_key)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_row_without_a_time_is_a_row_that_cannot_be_read(number: float):
    clocks = Clocks()
    for deadline in (Deadline("", number, 0.0, 0.0), Deadline("", 0.0, number, 0.0), clocks.deadline(number)):
        with pytest.raises(RowError, match="no time"):
            from_columns(to_columns(Row("publish", "a", b"", deadline, "1")))


def test_what_is_no_number_is_null_on_the_page():
    assert as_text({"at": math.nan, "all": [1.5, (math.inf, {"a": -math.inf})]}) == (
        '{"at":null,"all":[1.5,[null,{"a":null}]]}'
    )
