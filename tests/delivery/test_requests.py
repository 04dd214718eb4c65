from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from brokers import Mosquitto, until
from hypothesis import given
from hypothesis import strategies as st

from agent.delivery.incoming import WAITING, Incoming
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


def test_a_flood_of_requests_is_cut_off_and_said():
    answers: list[Any] = []
    incoming = Incoming(Topics("gesture", "kitchen"), answers.append)
    for n in range(WAITING + 3):
        incoming.received("gesture/kitchen/bridge/request/health", b'{"transaction": %d}' % n, False)
    assert [json.loads(a.payload)["transaction"] for a in answers] == [WAITING, WAITING + 1, WAITING + 2]
    assert incoming.next_request() == Request("health", {}, 0)


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
