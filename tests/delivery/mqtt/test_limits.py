"""Brokers that take less than others: small packets, nothing retained, QoS 0 only; and what is no topic."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import structlog
from brokers import Mosquitto, Subscriber
from happenings import started
from hypothesis import given
from hypothesis import strategies as st
from support.waiting import until

from agent.config.settings import HomeAssistantSettings
from agent.core.types import BUILT_IN_GESTURES, Action
from agent.delivery.message import Message
from agent.delivery.mqtt.packet_checks import Limits, PublishError, admitted, packet_size, topic_fault
from agent.delivery.mqtt.refused_topics import SHOWN_CHARS
from agent.delivery.outbox.outbox import list_rows

VERSIONS = pytest.mark.parametrize("version", ["5", "3.1.1"])
ROOMS = [f"room{n}" for n in range(1, 9)]
DISCOVERY = HomeAssistantSettings(discovery="device")


def broker_with(folder: Path, *lines: str) -> Mosquitto:
    return Mosquitto(folder, "allow_anonymous true", *lines).start()


def describe(delivery, cameras: list[str]) -> None:
    delivery.describe(version="1", cameras=cameras, gestures=BUILT_IN_GESTURES)


def retained(broker: Mosquitto, listen) -> dict[str, str]:
    """All that the broker keeps."""
    late: Subscriber = listen(broker.port)
    late.publish("end", "of what is retained")
    until(lambda: late.on("end"), "all that is retained")
    late.close()
    return {h.topic: h.payload for h in late.heard if h.retained}


@VERSIONS
@pytest.mark.parametrize("limit", [8192, 2048])
def test_eight_cameras_are_described_to_a_broker_that_takes_small_packets(
    tmp_path: Path, deliver, listen, limit: int, version: str
):
    broker = broker_with(tmp_path, f"max_packet_size {limit}", f"message_size_limit {limit}")
    try:
        delivery = deliver(broker.url, mqtt={"version": version}, homeassistant=DISCOVERY)
        describe(delivery, ROOMS)
        delivery.event(started())
        until(lambda: delivery.status().delivered == 2, "events", 60)
        until(lambda: len(retained(broker, listen)) > 8 * 5, "every component is described", 60)
        kept = retained(broker, listen)
        assert "homeassistant/event/gesture_kitchen/room8-gesture/config" in kept
        assert "homeassistant/device/gesture_kitchen/config" not in kept
        if version == "5":  # it says what it takes, and no connection is lost for it
            assert (delivery.status().reconnects, delivery.status().max_packet) == (0, limit)
        assert delivery.status().connected
    finally:
        broker.stop()


@VERSIONS
def test_a_state_that_is_too_large_is_left_out_and_named_and_all_others_are_reported(
    tmp_path: Path, deliver, listen, version: str
):
    broker = broker_with(tmp_path, "max_packet_size 2048")
    try:
        with structlog.testing.capture_logs() as logs:
            delivery = deliver(broker.url, mqtt={"version": version})
            delivery.camera_state("front", "online")
            delivery.info({"models": "m" * 5000})
            delivery.camera_state("back", "offline", "unplugged")
            left_out = delivery.status
            until(lambda: "gesture/kitchen/bridge/info" in left_out().left_out, "it is named", 60)
            until(lambda: "gesture/kitchen/camera/back/state" in retained(broker, listen), "the others", 60)
        assert "gesture/kitchen/bridge/info" not in retained(broker, listen)
        told = [line for line in logs if line["event"] == "message_left_out"]
        assert [line["topic"] for line in told] == ["gesture/kitchen/bridge/info"]
        assert "bytes with its headers, the broker takes at most" in told[0]["reason"]
        assert not [line for line in logs if "another client" in line.get("reason", "")]
        delivery.health({"uptime_s": 1})
        until(lambda: "gesture/kitchen/bridge/health" in retained(broker, listen), "health")
        health = json.loads(retained(broker, listen)["gesture/kitchen/bridge/health"])["mqtt"]
        assert list(health["left_out"]) == ["gesture/kitchen/bridge/info"]
        if version == "5":
            assert health["max_packet"] == 2048
        delivery.info({"models": "few"})
        until(lambda: not delivery.status().left_out, "it fits again")
    finally:
        broker.stop()


def test_an_answer_that_is_too_large_is_answered_with_why(tmp_path: Path, deliver, listen):
    broker = broker_with(tmp_path, "max_packet_size 2048")
    try:
        subscriber = listen(broker.port, "gesture/kitchen/bridge/response/#")
        delivery = deliver(broker.url)
        subscriber.publish("gesture/kitchen/bridge/request/health", '{"transaction": 7}')
        found: list = []
        until(lambda: found.extend(filter(None, [delivery.next_request()])) or found, "the request")
        delivery.respond(found[0], {"much": "x" * 3000})
        until(lambda: subscriber.heard, "an answer")
        answer = json.loads(subscriber.heard[0].payload)
        assert (answer["status"], answer["transaction"]) == ("error", 7)
        assert "the broker takes at most 2048" in answer["error"]
    finally:
        broker.stop()


def test_a_packet_is_as_large_as_reckoned(tmp_path: Path, deliver, listen):
    """The largest that is admitted gets through, at the broker's limit to the byte."""
    broker = broker_with(tmp_path, "max_packet_size 1000")
    try:
        subscriber = listen(broker.port, "home/#")
        delivery = deliver(broker.url, folder=tmp_path / "state")
        sizes = range(900, 1000)
        limits, sent = Limits(packet_bytes=1000), []
        for size in sizes:
            message = Message("home/lamp", b"x" * size, content_type="text/plain", event_id="e" * 36)
            try:
                admitted(message, limits, v5=True)
            except PublishError:
                break
            sent.append(size)
            delivery._mqtt.publish_best_effort(message)
        assert 900 < sent[-1] < 999
        until(lambda: [len(h.payload) for h in subscriber.heard] == sent, "all that fit")
        assert delivery.status().reconnects == 0
    finally:
        broker.stop()


@VERSIONS
def test_a_broker_without_retained_messages_is_spoken_to_without_them_and_named(
    tmp_path: Path, deliver, listen, version: str
):
    broker = broker_with(tmp_path, "retain_available false")
    try:
        subscriber = listen(broker.port)
        with structlog.testing.capture_logs() as logs:
            delivery = deliver(broker.url, mqtt={"version": version})
            delivery.camera_state("front", "online")
            delivery.event(started())
            until(lambda: delivery.status().delivered == 2, "events")
            until(lambda: subscriber.on("camera/front/state"), "states")
        (line,) = [line for line in logs if line["event"] == "broker_without_retain"]
        assert "takes no retained messages" in line["means"]
        assert delivery.status().reconnects == 0
    finally:
        broker.stop()


def test_a_broker_of_qos_0_gets_everything_at_qos_0(tmp_path: Path, deliver, listen):
    broker = broker_with(tmp_path, "max_qos 0")
    try:
        subscriber = listen(broker.port)
        delivery = deliver(broker.url)
        delivery.camera_state("front", "online")
        delivery.event(started())
        until(lambda: subscriber.on("/event") and subscriber.on("front/state"), "events and states")
        until(lambda: delivery.status().delivered == 2, "counted")
        assert delivery.status().reconnects == 0
    finally:
        broker.stop()


@pytest.mark.parametrize(
    "topic",
    ["home/la\nmp", "home/\x00", "home/\x7f", "home/\x85", "home/\ufffe", "home/\udc80", "", "a/" * 300],
)
def test_what_is_no_topic_is_set_aside_and_the_connection_stays(
    mosquitto: Mosquitto, deliver, tmp_path: Path, topic: str
):
    delivery = deliver(mosquitto.url, folder=tmp_path / "state")
    delivery._mqtt.follow("rules", {topic})
    delivery._mqtt.publish_state(Message(topic, b"x", retain=True))
    if topic.isascii():
        delivery.perform(Action("publish", "rule", 0.0, 5.0, topic, "x"))
        until(lambda: [row.dead for row in list_rows(tmp_path / "state") if row.dead], "dead letter")
        assert "the topic" in (list_rows(tmp_path / "state")[0].dead or "")
    delivery.event(started())
    until(lambda: delivery.status().delivered == 2, "events go on")
    assert delivery.status().reconnects == 0
    until(lambda: topic[:SHOWN_CHARS] in delivery.status().left_out, "it is named")


@given(st.text(max_size=60), st.binary(max_size=300), st.sampled_from([0, 1]), st.booleans())
def test_whatever_passes_the_gate_is_a_packet_that_paho_makes_just_as_large(
    topic: str, payload: bytes, qos: int, v5: bool
):
    message = Message(topic, payload, qos, content_type="text/plain", event_id="e", expiry_s=3.0)
    try:
        message, properties, size = admitted(message, Limits(), v5=v5)
    except PublishError:
        return
    assert topic_fault(topic) is None
    assert size == packet_size(message, properties)
    assert size > len(payload) + len(topic.encode())


def test_a_huge_payload_is_kept_away_by_the_broker_and_costs_no_connection(
    mosquitto: Mosquitto, deliver, listen
):
    subscriber = listen(mosquitto.port, "gesture/kitchen/bridge/response/#")
    delivery = deliver(mosquitto.url)
    delivery.follow({"home/tv"})
    subscriber.publish("home/tv", b"x" * 3_000_000, retain=True)
    subscriber.publish("gesture/kitchen/bridge/request/health", b" " * 3_000_000)
    subscriber.publish("home/tv", "on", retain=True)
    subscriber.publish("gesture/kitchen/bridge/request/reload", "[]")
    until(lambda: subscriber.heard, "the answer to the small one")
    assert [h.topic.rpartition("/")[2] for h in subscriber.heard] == ["reload"]
    until(lambda: delivery.values.get("home/tv") == "on", "the small value")
    assert (delivery.status().reconnects, delivery.status().unusable) == (0, 1)


def test_a_state_that_the_broker_refuses_is_named_in_health(tmp_path: Path, deliver, listen):
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite gesture/+/bridge/#\ntopic read gesture/kitchen/camera/#\n")
    acl.chmod(0o700)
    broker = broker_with(tmp_path, f"acl_file {acl}")
    try:
        delivery = deliver(broker.url)
        delivery.camera_state("front", "online")
        until(lambda: "gesture/kitchen/camera/front/state" in delivery.status().left_out, "the refused state")
        assert "Not authorized" in delivery.status().left_out["gesture/kitchen/camera/front/state"]
        assert "gesture/kitchen/bridge/state" not in delivery.status().left_out
    finally:
        broker.stop()
