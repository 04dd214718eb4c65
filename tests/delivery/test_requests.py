from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from brokers import Mosquitto
from hypothesis import given
from hypothesis import strategies as st
from support.waiting import until

from agent.delivery.incoming import REFUSAL_EVERY_S, REFUSALS, Incoming
from agent.delivery.invalid_messages import BURST, EVERY_S
from agent.delivery.message import Message
from agent.delivery.request_queue import PACES, WAITING
from agent.delivery.requests import MAX_BYTES, Request, RequestError, enabled, request
from agent.delivery.topics import REQUESTS, Topics


@pytest.fixture
def next_request():
    def take(delivery: Any) -> Request:
        found: list[Request] = []
        until(lambda: found.extend(filter(None, [delivery.next_request()])) or found, "a request")
        return found[0]

    return take


def test_a_request_is_answered_with_its_transaction(mosquitto: Mosquitto, deliver, listen, next_request):
    subscriber = listen(mosquitto.port)
    delivery = deliver(mosquitto.url)
    subscriber.publish("gesture/kitchen/bridge/request/health", '{"transaction": "a1", "more": 1}')
    wish = next_request(delivery)
    assert wish == Request("health", {"more": 1}, "a1")
    delivery.respond(wish, {"uptime_s": 3})
    until(lambda: subscriber.on("bridge/response/health"), "the response")
    (heard,) = subscriber.on("bridge/response/health")
    assert json.loads(heard.payload) == {
        "status": "ok", "data": {"uptime_s": 3}, "error": "", "transaction": "a1",
    }  # fmt: skip
    assert not heard.retained


def test_the_switch_takes_on_and_off_only(mosquitto: Mosquitto, deliver, listen, next_request):
    subscriber = listen(mosquitto.port)
    delivery = deliver(mosquitto.url)
    subscriber.publish("gesture/kitchen/enabled/set", "maybe")
    subscriber.publish("gesture/kitchen/enabled/set", "OFF")
    assert next_request(delivery) == Request("enabled", {"on": False})


def test_a_retained_request_would_act_at_every_restart_and_is_ignored(
    mosquitto: Mosquitto, deliver, listen, next_request
):
    subscriber = listen(mosquitto.port)
    subscriber.publish("gesture/kitchen/enabled/set", "OFF", retain=True)
    subscriber.publish("gesture/kitchen/bridge/request/restart", "", retain=True)
    delivery = deliver(mosquitto.url)
    subscriber.publish("gesture/kitchen/bridge/request/health", "")
    assert next_request(delivery) == Request("health")
    assert delivery.next_request() is None


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ("x" * 1_000_000, "1000000 bytes, at most 4096"),
        ("{", "no JSON"),
        ("[1]", "no object"),
        ("[" * 4000, "no JSON"),
        ('{"transaction": {"deep": 1}}', "transaction must be"),
        ('{"transaction": "' + "y" * 65 + '"}', "at most 64"),
    ],
)
def test_bad_requests_are_answered_with_what_is_wrong(mosquitto: Mosquitto, deliver, listen, payload, error):
    subscriber = listen(mosquitto.port, "gesture/kitchen/bridge/response/#")
    delivery = deliver(mosquitto.url)
    subscriber.publish("gesture/kitchen/bridge/request/reload", payload)
    until(lambda: subscriber.heard, "the response")
    answer = json.loads(subscriber.heard[0].payload)
    assert answer["status"] == "error"
    assert error in answer["error"]
    assert delivery.next_request() is None


TOPICS = Topics("gesture", "kitchen")


def heard_by(answers: list[Message], clock: Callable[[], float] = lambda: 0.0) -> Incoming:
    return Incoming(TOPICS, answers.append, clock=clock)  # type: ignore[arg-type]


def test_requests_for_the_same_are_one_and_each_is_answered():
    answers: list[Message] = []
    incoming = heard_by(answers)
    for n in range(3):
        incoming.received(TOPICS.request("health"), b'{"transaction": %d}' % n, False)
    (wish,) = iter(incoming.next_request, None)
    assert wish == Request("health", {}, 0, also=(1, 2))
    incoming.respond(wish, {"uptime_s": 3}, "")
    told = [json.loads(a.payload) for a in answers]
    assert [(t["transaction"], t["data"]) for t in told] == [(n, {"uptime_s": 3}) for n in range(3)]


def test_a_flood_of_requests_is_cut_off_and_said():
    answers: list[Message] = []
    incoming = heard_by(answers)
    for n in range(WAITING + 3):
        incoming.received(TOPICS.request("health"), b'{"transaction": %d}' % n, False)
    assert [json.loads(a.payload)["transaction"] for a in answers] == [WAITING, WAITING + 1, WAITING + 2]
    wish = incoming.next_request()
    assert wish is not None
    assert (wish.transaction, len(wish.also)) == (0, WAITING - 1)


@pytest.mark.parametrize("name", REQUESTS)
def test_a_flood_reaches_the_loop_as_a_few_a_second_and_answers_are_as_few(name: str):
    """Ten seconds at 280 a second, taken as fast as they come."""
    answers: list[Message] = []
    now = 0.0
    incoming = heard_by(answers, lambda: now)
    taken = 0
    for n in range(2800):
        now = n / 280
        incoming.received(TOPICS.request(name), b'{"rule": "lamp"}', False)
        taken += incoming.next_request() is not None
    burst, every_s = PACES[name]
    assert 0 < taken <= burst + 10 / every_s
    assert len(answers) <= REFUSALS + 10 / REFUSAL_EVERY_S


def test_a_flood_of_bad_requests_writes_a_few_lines():
    now = 0.0
    incoming = heard_by([], lambda: now)
    with structlog.testing.capture_logs() as logs:
        for n in range(2800):
            now = n / 280
            incoming.received(TOPICS.request(f"open_{n}"), b"", False)
            incoming.received(TOPICS.enabled_set, b"maybe %d" % n, False)
    assert 2 <= len(logs) <= BURST + 10 / EVERY_S
    assert incoming.unusable == 5600


def test_off_is_never_held_back_and_the_newest_position_of_the_switch_counts():
    incoming = heard_by([])
    for n in range(100):  # far more than come through in no time
        incoming.received(TOPICS.enabled_set, b"ON" if n % 2 else b"OFF", False)
        incoming.next_request()
    incoming.received(TOPICS.enabled_set, b"ON", False)
    assert incoming.next_request() is None
    incoming.received(TOPICS.enabled_set, b"OFF", False)
    assert incoming.next_request() == Request("enabled", {"on": False})


def test_the_switch_takes_any_case_and_answers_what_it_cannot_take():
    answers: list[Message] = []
    incoming = heard_by(answers)
    incoming.received(TOPICS.enabled_set, b"off", False)
    assert incoming.next_request() == Request("enabled", {"on": False})
    assert answers == []
    incoming.received(TOPICS.enabled_set, b"aus", False)
    (answer,) = answers
    assert answer.topic == "gesture/kitchen/bridge/response/enabled"
    assert json.loads(answer.payload)["error"] == 'enabled/set takes ON or OFF, got "aus"'


def test_what_comes_on_a_followed_topic_and_cannot_be_used_is_reported_once_and_again_when_it_changes():
    incoming = heard_by([])
    incoming.follow({"home/tv"}, lambda _topic, text: "" if text == "on" else f"got {text}")
    with structlog.testing.capture_logs() as logs:
        for payload in (b"x" * 5000, b"x" * 5000, b"\xff", b"on", b"off", b"off", b"on", b"off"):
            incoming.received("home/tv", payload, False)
    assert [line["reason"].split(",")[0].split(";")[0] for line in logs] == [
        "5000 bytes", "not UTF-8", "got off", "got off",
    ]  # fmt: skip
    assert {line["event"] for line in logs} == {"value_unusable"}


def test_values_and_what_is_followed_change_in_two_threads_and_none_is_lost():
    incoming = heard_by([])
    topics = [f"home/{n}" for n in range(50)]
    incoming.follow(topics)
    ended = threading.Event()

    def reload() -> None:
        while not ended.is_set():
            incoming.follow(topics)

    thread = threading.Thread(target=reload)
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # the threads take turns in the middle of everything
    thread.start()
    for n in range(50):
        for topic in topics:
            incoming.received(topic, b"%d" % n, False)
    ended.set()
    thread.join()
    sys.setswitchinterval(usual_s)
    assert incoming.values == dict.fromkeys(topics, "49")


def test_test_rule_names_its_rule():
    assert request("test_rule", b'{"rule": "lamp-on"}') == Request("test_rule", {"rule": "lamp-on"})
    with pytest.raises(RequestError, match=r"test_rule takes"):
        request("test_rule", b"{}")


def test_an_unknown_request_is_refused_without_an_answer(mosquitto: Mosquitto, deliver, listen, next_request):
    subscriber = listen(mosquitto.port, "gesture/kitchen/bridge/response/#")
    delivery = deliver(mosquitto.url)
    subscriber.publish("gesture/kitchen/bridge/request/open_the_door", "")
    subscriber.publish("gesture/kitchen/bridge/request/health", "")
    assert next_request(delivery).name == "health"
    assert subscriber.heard == []


@given(st.sampled_from([*REQUESTS, "enabled", "", "x/y"]), st.binary(max_size=MAX_BYTES + 10))
def test_no_payload_whatsoever_breaks_the_reader(name: str, payload: bytes):
    for read in (lambda: request(name, payload), lambda: enabled(payload)):
        with contextlib.suppress(RequestError):
            assert isinstance(read(), Request)


def test_values_of_followed_topics_are_kept_while_they_are_followed(mosquitto: Mosquitto, deliver, listen):
    subscriber = listen(mosquitto.port)
    subscriber.publish("home/tv", "on", retain=True)
    delivery = deliver(mosquitto.url)
    delivery.follow({"home/tv", "home/door"})
    until(lambda: delivery.values == {"home/tv": "on"}, "the retained value")
    subscriber.publish("home/door", '{"open": true}')
    until(lambda: delivery.values.get("home/door") == '{"open": true}', "a new value")
    subscriber.publish("home/tv", "", retain=True)
    until(lambda: "home/tv" not in delivery.values, "the value is gone")
    mosquitto.kill()
    mosquitto.start()
    until(lambda: delivery.status().reconnects == 1 and delivery.status().connected, "reconnection")
    late = listen(mosquitto.port)
    late.publish("home/door", "shut", retain=True)
    until(lambda: delivery.values == {"home/door": "shut"}, "followed again after a reconnection")
    delivery.follow(())
    assert delivery.values == {}
