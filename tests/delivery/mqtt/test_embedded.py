from __future__ import annotations

import socket

import pytest
from happenings import started
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from support.waiting import until

pytest.importorskip("amqtt", reason="the extra `embedded` is not installed")

from agent.delivery.mqtt.embedded import FIRST_PORT, EmbeddedBroker


def hear(port: int, heard: list[tuple[str, bytes, bool]]) -> paho.Client:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda c, *_: c.subscribe("#", qos=1)
    client.on_message = lambda _c, _u, m: heard.append((m.topic, m.payload, m.retain))
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


def test_the_embedded_broker_serves_the_agent_and_others(deliver):
    delivery = deliver("embedded")
    status = delivery.status()
    assert status.mqtt_version == "3.1.1"
    heard: list[tuple[str, bytes, bool]] = []
    client = hear(int(status.broker.rpartition(":")[2]), heard)
    until(lambda: ("gesture/kitchen/bridge/state", b'{"state":"online"}', True) in heard, "retained birth")
    delivery.event(started("two"))
    until(lambda: ("gesture/kitchen/camera/front/action", b"two", False) in heard, "action")
    client.publish("gesture/kitchen/enabled/set", "OFF", 1)
    requests: list[object] = []
    until(lambda: requests or requests.append(delivery.next_request()) or requests.pop(), "request")
    client.disconnect()
    client.loop_stop()


def test_it_takes_the_next_port_when_the_usual_one_is_taken():
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", FIRST_PORT))
            taken.listen()
        except OSError:
            pass  # somebody else has it, which is as good
        broker = EmbeddedBroker()
        assert broker.port > FIRST_PORT
        broker.start()
        broker.close()


def test_a_broker_that_only_knows_3_1_1_is_spoken_to_in_3_1_1(deliver):
    """amqtt does not answer MQTT 5 at all; the agent finds out by itself."""
    broker = EmbeddedBroker(20_000)
    broker.start()
    try:
        delivery = deliver(broker.url)
        assert delivery.status().mqtt_version == "3.1.1"
        delivery.event(started())
        until(lambda: delivery.status().delivered == 2, "delivery")
        delivery.close()
    finally:
        broker.close()
