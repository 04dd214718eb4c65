"""Nothing lost, nothing late: a real broker that dies, freezes, refuses and chokes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest
import structlog
from brokers import Mosquitto, Subscriber
from happenings import started
from support.small_disk import mount_small_disk
from support.waiting import until

from agent.config.settings import OutboxSettings
from agent.core.timestamps import rfc3339
from agent.core.types import Action
from agent.delivery.clocks import Clocks
from agent.delivery.outbox.mqtt_sender import PROOF_S
from agent.delivery.outbox.outbox import Outbox, Row, list_rows
from agent.supervision import Threads

KILLS = 4 if int(os.environ.get("GESTURE_AGENT_ATTACKS", "1")) > 1 else 2


def event_ids(subscriber: Subscriber) -> list[str]:
    return [json.loads(heard.payload)["event_id"] for heard in subscriber.on("/event")]


def publish(target: str, payload: str = "x", *, max_age_s: float = 5.0, retain: bool = False) -> Action:
    return Action("publish", "a-rule", 0.0, max_age_s, target, payload, retain)


def test_events_of_an_outage_arrive_when_the_broker_is_back(mosquitto: Mosquitto, deliver):
    arrived: list[str] = []
    delivery = deliver(
        mosquitto.url,
        on_published=lambda topic, p: (
            arrived.append(json.loads(p)["event_id"]) if topic.endswith("event") else None
        ),
    )
    mosquitto.kill()
    sent = [delivery.event(started(), max_age_s=600) for _ in range(30)]
    until(lambda: delivery.status().committed == 60, "commits")
    assert delivery.status().delivered == 0
    mosquitto.start()
    until(lambda: len(arrived) == 30, "delivery")
    assert arrived == sent
    until(lambda: delivery.status().depth == 0, "the queue drains to zero")


def test_events_whose_time_ran_out_during_an_outage_are_counted_and_never_sent(
    mosquitto: Mosquitto, deliver, listen
):
    delivery = deliver(mosquitto.url)
    mosquitto.kill()
    until(lambda: not delivery.status().connected, "the loss is noticed")
    for _ in range(10):
        delivery.event(started(), max_age_s=0.2)
    until(lambda: delivery.status().expired == 20, "they expire")
    subscriber = Subscriber(mosquitto.start().port)
    until(lambda: delivery.status().connected, "reconnection")
    delivery.event(started("ok"))
    until(lambda: subscriber.on("/action"), "the first event after")
    assert [h.payload for h in subscriber.on("/action")] == ["ok"]
    subscriber.close()


def test_a_frozen_broker_gets_nothing_late(mosquitto: Mosquitto, deliver, listen):
    """It is asked for a sign of life first: nothing is in its socket that it could forward when it wakes."""
    delivery = deliver(mosquitto.url, mqtt={"version": "3.1.1"})  # no message expiry to help
    subscriber = listen(mosquitto.port, "gesture/#")
    mosquitto.signal(signal.SIGSTOP)
    frozen_at = time.monotonic()
    until(lambda: time.monotonic() - frozen_at > 2 * PROOF_S, "its last sign of life is of no use")
    for _ in range(40):
        delivery.event(started(), max_age_s=0.5)
    until(lambda: delivery.status().expired == 80, "all expire", 10)
    mosquitto.signal(signal.SIGCONT)
    until(lambda: delivery.status().connected, "reconnection")
    delivery.event(started("ok"))
    until(lambda: any(h.payload == "ok" for h in subscriber.on("/action")), "the first event after")
    assert [json.loads(h.payload)["event_type"] for h in subscriber.on("/event")] == ["ok"]
    assert [h.payload for h in subscriber.on("/action")] == ["ok"]
    status = delivery.status()
    assert (status.expired, status.unknown) == (80, 0)


def test_what_was_in_flight_when_the_broker_froze_counts_as_unknown_and_says_that_it_is_late(
    mosquitto: Mosquitto, deliver, listen
):
    delivery = deliver(mosquitto.url)
    subscriber = listen(mosquitto.port, "gesture/#")

    def all_ended(committed: int) -> bool:
        now = delivery.status()
        return now.committed == committed == now.delivered + now.expired + now.unknown

    for n in range(10):  # the sooner after a sign of life it freezes, the more is on its way
        delivery.event(started(), max_age_s=20)
        until(lambda n=n: all_ended(42 * n + 2), "delivery")
        mosquitto.signal(signal.SIGSTOP)
        for _ in range(20):
            delivery.event(started(), max_age_s=0.5)
        until(lambda n=n: all_ended(42 * n + 42), "each ends once", 10)
        mosquitto.signal(signal.SIGCONT)
        until(lambda: delivery.status().connected, "reconnection")
        if delivery.status().unknown:
            break
    status = delivery.status()
    assert status.unknown > 0
    delivery.event(started("ok"))
    until(lambda: any(h.payload == "ok" for h in subscriber.on("/action")), "the first event after")
    heard = [h for h in subscriber.heard if h.topic.endswith(("/event", "/action"))]
    late = [h for h in heard if rfc3339(h.at) > dict(h.properties["UserProperty"])["expires_at"]]
    assert len(late) <= status.unknown
    for h in subscriber.on("/event"):
        assert json.loads(h.payload)["expires_at"] == dict(h.properties["UserProperty"])["expires_at"]


def test_a_frozen_broker_that_wakes_in_time_gets_everything(mosquitto: Mosquitto, deliver, listen):
    delivery = deliver(mosquitto.url)
    subscriber = listen(mosquitto.port, "gesture/#")
    mosquitto.signal(signal.SIGSTOP)
    sent = {delivery.event(started(), max_age_s=600) for _ in range(60)}
    until(lambda: delivery.status().committed == 120, "commits")
    mosquitto.signal(signal.SIGCONT)
    until(lambda: delivery.status().delivered == 120, "delivery")
    until(lambda: set(event_ids(subscriber)) == sent, "all of them at the subscriber")
    assert delivery.status().expired == 0


def test_a_broker_that_takes_one_message_at_a_time_gets_one_at_a_time(tmp_path: Path, deliver):
    broker = Mosquitto(tmp_path, "allow_anonymous true", "max_inflight_messages 1").start()
    try:
        delivery = deliver(broker.url, mqtt={"version": "5"})
        for n in range(10):
            delivery.info({"n": n})
            delivery.event(started(), max_age_s=60)
        until(lambda: delivery.status().delivered == 20, "all of them, one after the other", 60)
        assert delivery.status().reconnects == 0  # mosquitto throws out whoever exceeds its Receive Maximum
        assert "Receive Maximum" not in broker.log.read_text()
    finally:
        broker.stop()


def test_nobody_listening_is_counted(mosquitto: Mosquitto, deliver):
    delivery = deliver(mosquitto.url)
    delivery.event(started())
    until(lambda: delivery.status().delivered == 2, "delivery")
    assert delivery.status().no_subscriber == 2


def test_what_an_acl_refuses_becomes_a_dead_letter_and_the_rest_goes_on(tmp_path: Path, deliver, listen):
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite gesture/#\ntopic read secret/#\n")
    acl.chmod(0o700)
    broker = Mosquitto(tmp_path, "allow_anonymous true", f"acl_file {acl}").start()
    folder = tmp_path / "state"
    try:
        delivery = deliver(broker.url, folder=folder)
        delivery.perform(publish("secret/door", "open", max_age_s=0.8))
        delivery.event(started(), max_age_s=30)
        until(lambda: delivery.status().delivered == 2, "the others are not held up")
        until(lambda: [row for row in list_rows(folder) if row.dead], "dead letter")
        assert (delivery.status().refused, delivery.status().expired) == (1, 0)
        (dead,) = list_rows(folder)
        assert dead.target == "secret/door"
        assert "Not authorized" in (dead.dead or "")
    finally:
        broker.stop()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_payload_over_the_brokers_limit_is_set_aside_and_the_rest_goes_on(
    tmp_path: Path, deliver, listen, version: str
):
    broker = Mosquitto(tmp_path, "allow_anonymous true", "max_packet_size 2000").start()
    folder = tmp_path / "state"
    try:
        subscriber = listen(broker.port, "home/#")
        delivery = deliver(broker.url, mqtt={"version": version}, folder=folder)
        for n in range(5):
            delivery.perform(publish("home/lamp", f"before {n}", max_age_s=600))
        delivery.perform(publish("home/lamp", "x" * 5000, max_age_s=600))
        for n in range(5):
            delivery.perform(publish("home/lamp", f"after {n}", max_age_s=600))
        until(lambda: delivery.status().delivered == 10, "the small ones", 60)
        until(lambda: len({h.payload for h in subscriber.heard}) == 10, "at the subscriber")
        assert delivery.status().refused == 1
        assert [len(row.payload) for row in list_rows(folder) if row.dead] == [5000]
        until(lambda: delivery.status().depth == 0, "the queue drains to zero")
    finally:
        broker.stop()


def test_a_topic_that_cannot_be_published_to_is_set_aside(mosquitto: Mosquitto, deliver):
    delivery = deliver(mosquitto.url)
    delivery.perform(publish("home/#"))
    until(lambda: delivery.status().refused == 1, "dead letter")


def test_a_retained_state_of_a_rule_carries_no_expiry(mosquitto: Mosquitto, deliver, listen):
    delivery = deliver(mosquitto.url)
    delivery.perform(publish("home/lamp/set", "on", retain=True))
    until(lambda: delivery.status().delivered == 1, "delivery")
    subscriber = listen(mosquitto.port, "home/#")
    until(lambda: subscriber.heard, "retained")
    assert "MessageExpiryInterval" not in subscriber.heard[0].properties


def test_message_expiry_carries_the_remaining_time(mosquitto: Mosquitto, deliver, listen):
    mosquitto.kill()
    delivery = deliver(mosquitto.url, wait=False)
    delivery.event(started(), max_age_s=30)
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 1.2, "some of it is spent")
    mosquitto.start()
    subscriber = listen(mosquitto.port)
    until(lambda: subscriber.on("/event") or delivery.status().delivered == 2, "delivery")
    for heard in subscriber.on("/event"):
        assert 20 <= heard.properties["MessageExpiryInterval"] <= 28


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_100_000_rows_wait_at_the_start_and_all_arrive(mosquitto: Mosquitto, deliver, tmp_path: Path):
    folder, clocks = tmp_path / "state", Clocks()
    box = Outbox(folder, OutboxSettings(rows=200_000), clocks)
    box.open()
    deadline = clocks.deadline(3600)
    box.add([Row("publish", "t", str(n).encode(), deadline, str(n)) for n in range(100_000)])
    box.close()
    heard: set[str] = set()
    delivery = deliver(
        mosquitto.url,
        folder=folder,
        outbox={"rows": 200_000},
        on_published=lambda _, payload: heard.add(payload.decode()),
    )
    until(lambda: delivery.status().depth == 0, "all of them", 500)
    until(lambda: len(heard) == 100_000, "all are told")


@pytest.mark.parametrize("rows", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_many_rows_that_are_too_late_are_counted_and_gone(
    mosquitto: Mosquitto, deliver, tmp_path: Path, rows: int
):
    folder, clocks = tmp_path / "state", Clocks()
    box = Outbox(folder, OutboxSettings(rows=200_000), clocks)
    box.open()
    deadline = clocks.deadline(-1)
    box.add([Row("publish", "t", str(n).encode(), deadline, str(n)) for n in range(rows)])
    box.close()
    with structlog.testing.capture_logs():
        delivery = deliver(mosquitto.url, folder=folder, outbox={"rows": 200_000})
        until(lambda: delivery.status().expired == rows, "all counted", 60)
    assert delivery.status().delivered == 0


def test_a_broker_that_is_killed_again_and_again_loses_nothing(mosquitto: Mosquitto, deliver, tmp_path: Path):
    """Counted at the hand-over to the broker; what a broker without persistence forgets is its own."""
    seen: list[str] = []
    delivery = deliver(
        mosquitto.url,
        on_published=lambda topic, p: (
            seen.append(json.loads(p)["event_id"]) if topic.endswith("event") else None
        ),
    )
    sent: list[str | None] = []
    for n in range(KILLS):
        sent += [delivery.event(started(), max_age_s=600) for _ in range(50)]
        until(lambda n=n: len(seen) > n * 100, "some arrive")
        mosquitto.kill()
        sent += [delivery.event(started(), max_age_s=600) for _ in range(50)]
        mosquitto.start()
    until(lambda: delivery.status().delivered >= 200 * KILLS, "all of them")
    until(lambda: delivery.status().depth == 0, "the queue drains to zero")
    assert seen == sent
    status = delivery.status()
    assert (status.committed, status.delivered, status.expired, status.refused) == (*[200 * KILLS] * 2, 0, 0)


@pytest.mark.root
def test_a_disk_that_turns_read_only_costs_durability_and_nothing_else(
    mosquitto: Mosquitto, deliver, tmp_path: Path
):
    with mount_small_disk(tmp_path / "state", "4m") as folder:
        delivery = deliver(mosquitto.url, folder=folder)
        delivery.event(started())
        until(lambda: delivery.status().delivered == 2, "delivery")
        with (folder / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(4096))
        payload = "x" * 3000
        for _ in range(60):
            delivery.perform(publish("home/lamp", payload, max_age_s=60))
        until(lambda: delivery.status().delivered == 62, "delivery goes on")
        assert "full" in (delivery.status().outbox_trouble or "")
        assert delivery.with_delivery({})["outbox"]["trouble"]
        delivery.close()


def test_without_a_broker_every_thread_goes_on_moving(deliver):
    threads = Threads(tick_s=0.05)
    deliver("mqtt://127.0.0.1:1", wait=False, threads=threads)
    threads.supervise(lambda: None)
    before = threads.progress()
    assert {"outbox", "mqtt", "webhook-0", "command-0"} <= set(before)
    until(lambda: all(threads.progress()[name] > count + 2 for name, count in before.items()), "progress")
    threads.close()
