"""The example flow of docs/node-red in a real Node-RED, with the real agent: one story in this order."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from brokers import Mosquitto, Subscriber
from daemon import Daemon
from homes_kit import eventually
from node_red import NodeRed

from agent.core.timestamps import rfc3339

pytestmark = [pytest.mark.homes, pytest.mark.timeout(1200)]

FLOW = Path(__file__).parents[2] / "docs/node-red/flow.json"
LAMP = {"thumbs_up": "ON", "fist": "OFF", "stop": "TOGGLE"}


class Flowing:
    """A broker, a Node-RED, an agent, and an ear at the broker."""

    def __init__(self, broker: Mosquitto, node_red: NodeRed, agent: Daemon) -> None:
        self.broker, self.node_red, self.agent = broker, node_red, agent
        self.ear = Subscriber(broker.port)

    def lamp(self) -> list[str]:
        return [json.loads(heard.payload)["state"] for heard in self.ear.on("zigbee2mqtt/lamp/set")]

    def meant(self) -> list[str]:
        """What the lamp should have been told, by the agent's own events; each event once."""
        events = [json.loads(heard.payload) for heard in self.ear.on("/event")]
        started = {e["event_id"]: e["event_type"] for e in events if e["phase"] == "started"}
        return [LAMP[gesture] for gesture in started.values() if gesture in LAMP]

    def up(self) -> int:
        return len(self.ear.on("node-red/state"))

    def gesture(self, event_type: str, event_id: str = "") -> None:
        """An event as the agent's."""
        self.late_gesture(event_type, event_id, late_s=-5.0)

    def late_gesture(self, event_type: str, event_id: str = "", *, late_s: float) -> None:
        """One whose deadline passed so many seconds ago."""
        event = {
            "event_type": event_type,
            "phase": "started",
            "event_id": event_id or str(uuid.uuid4()),
            "expires_at": rfc3339(time.time() - late_s),
        }
        self.ear.publish("gesture/test/camera/front/event", json.dumps(event))


@pytest.fixture(scope="module")
def flowing(
    broker: Mosquitto,
    node_red_home: Path,
    make_agent: Callable[[], Daemon],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Flowing]:
    node_red = NodeRed(node_red_home, tmp_path_factory.mktemp("node-red"))
    flowing = Flowing(broker, node_red, make_agent())
    try:
        node_red.start()
        yield flowing
    finally:
        flowing.agent.kill()
        node_red.stop()
        flowing.ear.close()


def test_the_example_flow_is_imported_and_connects(flowing: Flowing):
    flow = json.loads(FLOW.read_text(encoding="utf-8"))
    (broker,) = [node for node in flow if node["type"] == "mqtt-broker"]
    broker.update(broker="127.0.0.1", port=str(flowing.broker.port))
    flowing.node_red.deploy(flow)
    eventually(lambda: flowing.up() == 1, "it is connected and says so")
    assert {node["id"] for node in flowing.node_red.flow()} == {node["id"] for node in flow}


def test_gestures_of_the_agent_switch_the_lamp_once_each(flowing: Flowing):
    flowing.agent.start()
    flowing.ear.publish("gesture/kitchen/enabled/set", "ON")
    eventually(lambda: set(flowing.meant()) == set(LAMP.values()), "all three were seen")
    flowing.agent.stop()
    flowing.gesture("thumbs_up")
    eventually(
        lambda: flowing.lamp()[-1:] == ["ON"] and len(flowing.lamp()) >= len(flowing.meant()), "the last"
    )
    assert flowing.lamp() == flowing.meant()


def test_the_same_event_delivered_twice_counts_once(flowing: Flowing):
    before = len(flowing.lamp())
    for event_id in ("a", "a", "b"):
        flowing.gesture("fist", event_id)
    eventually(lambda: len(flowing.lamp()) >= before + 2, "two of three")
    flowing.gesture("thumbs_up")
    eventually(lambda: flowing.lamp()[-1] == "ON", "the last")
    assert flowing.lamp()[before:] == ["OFF", "OFF", "ON"]


def test_what_a_broker_hands_over_too_late_switches_nothing(flowing: Flowing):
    before = len(flowing.lamp())
    flowing.late_gesture("fist", late_s=0.5)
    flowing.gesture("thumbs_up")
    eventually(lambda: len(flowing.lamp()) > before, "the next gesture")
    assert flowing.lamp()[before:] == ["ON"]


@pytest.mark.parametrize("what", ["node-red", "broker"])
def test_nothing_is_replayed_by_a_restart(flowing: Flowing, what: str):
    before, ups = len(flowing.lamp()), flowing.up()
    if what == "node-red":
        flowing.node_red.stop()
        flowing.gesture("fist")  # while nobody listens: gone for good
        flowing.node_red.start()
    else:
        flowing.broker.kill()
        flowing.ear.ready.clear()
        flowing.broker.start()
        eventually(flowing.ear.ready.is_set, "the ear is back")
    eventually(lambda: flowing.up() > ups, "it is connected again")
    flowing.gesture("thumbs_up")
    eventually(lambda: len(flowing.lamp()) > before, "the next gesture")
    assert flowing.lamp()[before:] == ["ON"]
