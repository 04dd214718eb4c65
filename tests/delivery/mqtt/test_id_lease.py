"""Two agents with one id: one keeps it, the other says so and stands aside; nobody is thrown out for ever."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from brokers import Mosquitto, Subscriber
from happenings import started
from proxy import Wire
from support.waiting import until

from agent.delivery.delivery import Delivery
from agent.delivery.mqtt.id_lease import IdLease, client_id, parse_lease

Deliver = Callable[..., Delivery]
TAKEN = 'the agent.id "kitchen" is in use on this broker'


def claims_of(delivery: Delivery) -> object:
    delivery._leases.retry_s = 0.2  # asked half a minute apart in real life
    return delivery._leases


@pytest.fixture
def wire(mosquitto: Mosquitto) -> Iterator[Wire]:
    """Leads to the broker, until it is cut."""
    made = Wire(mosquitto.port)
    made.join()
    yield made
    made.close()


@pytest.fixture
def second(deliver: Deliver, tmp_path: Path) -> Callable[..., Delivery]:
    """Another agent with the id of the first; not waited for."""

    def make(url: str, name: str = "second", **more: object) -> Delivery:
        delivery = deliver(url, folder=tmp_path / name, start=False, **more)
        claims_of(delivery)
        delivery.start()
        return delivery

    return make


def is_told(delivery: Delivery) -> bool:
    return TAKEN in (delivery.status().trouble or "")


def test_the_second_stands_aside_and_the_first_is_not_disturbed(
    mosquitto: Mosquitto, deliver: Deliver, second, listen
):
    watcher: Subscriber = listen(mosquitto.port, "gesture/kitchen/#")
    first = deliver(mosquitto.url)
    first.health({"uptime_s": 1})
    with structlog.testing.capture_logs() as logs:
        other = second(mosquitto.url)
        until(lambda: is_told(other), "it is told")
        until(lambda: first.status().conflict, "the first knows too")
    told = [entry["event"] for entry in logs]
    assert "agent_id_taken" in told
    assert "agent_id_contested" in told
    other.event(started())
    first.event(started("ok"))
    until(lambda: watcher.on("/action"), "the first goes on")
    until(
        lambda: json.loads(watcher.on("bridge/health")[-1].payload)["mqtt"]["rival"],
        "the first says on MQTT who wants its id",
    )
    assert [h.payload for h in watcher.on("/action")] == ["ok"]
    assert first.status().reconnects == 0
    assert {h.payload for h in watcher.on("bridge/state")} == {'{"state":"online"}'}


def test_it_is_said_once_however_often_it_asks(mosquitto: Mosquitto, deliver: Deliver, second, listen):
    watcher: Subscriber = listen(mosquitto.port, "gesture/kitchen/bridge/claim")
    deliver(mosquitto.url)
    with structlog.testing.capture_logs() as logs:
        second(mosquitto.url)
        until(lambda: len(watcher.heard) > 8, "some questions and answers")
    told = [entry["event"] for entry in logs]
    assert told.count("agent_id_taken") == 1
    assert told.count("agent_id_contested") == 1


@pytest.mark.parametrize("how", ["closes", "is cut off"])
def test_the_second_takes_the_id_when_the_first_is_gone(
    mosquitto: Mosquitto, wire: Wire, deliver: Deliver, second, how: str
):
    first = deliver(f"mqtt://127.0.0.1:{wire.port}")
    other = second(mosquitto.url)
    until(lambda: is_told(other), "it is told")
    if how == "closes":
        first.close()
    else:
        wire.cut()
    until(lambda: other.status().connected, "it has the id")


def test_one_that_was_cut_off_gets_its_id_back_from_a_newcomer(
    mosquitto: Mosquitto, wire: Wire, deliver: Deliver, second, listen
):
    first = deliver(f"mqtt://127.0.0.1:{wire.port}")
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 1.1, "it has had the id for longer than a moment")
    wire.cut()
    until(lambda: not first.status().connected, "the cut is noticed")
    other = second(mosquitto.url)
    until(lambda: other.status().connected, "the id is free")
    wire.join()
    until(lambda: is_told(other), "it gives it back")
    until(lambda: first.status().connected, "the first is back")
    late: Subscriber = listen(mosquitto.port, "gesture/kitchen/bridge/state")
    until(lambda: late.heard and late.heard[-1].payload == '{"state":"online"}', "and online")


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_clones_with_one_client_id_do_not_throw_each_other_out_for_ever(  # noqa: PLR0917
    mosquitto: Mosquitto, deliver: Deliver, second, listen, tmp_path: Path, version: str
):
    first = deliver(mosquitto.url, mqtt={"version": version})
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 1.1, "it has had the id for longer than a moment")
    clone = deliver(mosquitto.url, folder=tmp_path / "clone", start=False, mqtt={"version": version})
    claims_of(clone)
    clone._mqtt._params = replace(clone._mqtt._params, client_id=first._mqtt._params.client_id)
    clone._mqtt._client_id = first._mqtt._client_id
    clone.start()
    until(lambda: is_told(clone) and first.status().connected, "it is settled", 40)
    reconnects = first.status().reconnects
    watcher: Subscriber = listen(mosquitto.port, "gesture/kitchen/bridge/claim")
    until(lambda: len(watcher.heard) > 6, "the clone asks again and again")
    assert first.status().connected
    assert first.status().reconnects == reconnects


def test_of_two_that_come_together_one_has_the_id(mosquitto: Mosquitto, second):
    both = [second(mosquitto.url, "one"), second(mosquitto.url, "two")]

    def settled() -> bool:
        connected = [one.status().connected for one in both]
        return sorted(connected) == [False, True] and any(map(is_told, both))

    until(settled, "it is settled", 30)


def test_the_ghost_of_a_dead_agent_does_not_keep_the_living_out(mosquitto: Mosquitto, deliver, listen):
    subscriber: Subscriber = listen(mosquitto.port)
    subscriber.publish("gesture/kitchen/bridge/state", '{"state":"online"}', retain=True)
    assert deliver(mosquitto.url).status().connected


def test_a_broker_that_lets_nobody_claim_lets_the_agent_in_all_the_same(tmp_path: Path, deliver: Deliver):
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite gesture/#\ntopic deny gesture/kitchen/bridge/claim\n")
    acl.chmod(0o700)
    broker = Mosquitto(tmp_path, "allow_anonymous true", f"acl_file {acl}").start()
    try:
        assert deliver(broker.url).status().connected
    finally:
        broker.stop()


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"instance":1}',
        b'{"instance":"a","host":"b","held_s":"x"}',
        b'{"instance":"a","host":"b","held_s":NaN}',
        b'{"instance":"a","host":"b","held_s":-1}',
        b"x" * 5000,
    ],
)
def test_junk_on_the_topic_is_no_claim(junk: bytes):
    assert parse_lease(junk) is None


def test_junk_on_the_topic_disturbs_nobody(mosquitto: Mosquitto, deliver: Deliver, listen):
    delivery, subscriber = deliver(mosquitto.url), listen(mosquitto.port, "nothing/of/this")
    topic = "gesture/kitchen/bridge/claim"
    for junk in (b"\xff" * 100, b'{"instance":"x","host":"\\u001b[2J","held_s":NaN}', b"[" * 500):
        subscriber.publish(topic, junk)
    subscriber.publish(topic, '{"instance":"zz","host":"\\u001b[2Jpi\\n","held_s":0}')
    until(lambda: delivery.status().conflict == "[2Jpi", "the last one")
    assert delivery.status().connected


def test_whoever_has_had_it_longer_keeps_it():
    old, new = IdLease("b", "h", 60.0), IdLease("a", "h", 2.0)
    assert old.beats(new)
    assert not new.beats(old)
    first, come = IdLease("b", "h", 0.001), IdLease("a", "h", 0.0)
    assert first.beats(come)
    assert not come.beats(first)
    assert come.beats(IdLease("b", "h", 0.0))
    assert not IdLease("b", "h", 0.0).beats(come)
    assert IdLease("a", "h", 5.0).beats(IdLease("b", "h", 5.9))  # they came together
    assert not IdLease("b", "h", 5.9).beats(IdLease("a", "h", 5.0))


def test_a_client_id_is_the_same_at_every_start_and_another_in_another_folder(tmp_path: Path):
    assert client_id("a", tmp_path) == client_id("a", tmp_path)
    assert client_id("a", tmp_path) != client_id("a", tmp_path / "other")
    assert client_id("a", tmp_path).startswith("gesture-agent-a-")
