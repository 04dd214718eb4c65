"""Anyone on the broker may publish anything: none of it stops the agent or leaves it without an answer."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.core.rules import ValueIs
from agent.delivery.homeassistant import discovery
from agent.delivery.incoming import VALUE_BYTES, Incoming
from agent.delivery.message import Message
from agent.delivery.request_queue import WAITING
from agent.delivery.requests import MAX_BYTES, Request
from agent.delivery.topics import REQUESTS, Topics

TOPICS = Topics("gesture", "kitchen")
HALF = "\ud800"  # half a surrogate pair: JSON may hold it, UTF-8 may not
TEXT = st.text(max_size=80) | st.just(HALF)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
WISHES = st.fixed_dictionaries({}, optional={"transaction": JSON, "rule": JSON, "more": JSON})
PAYLOADS = (
    st.binary(max_size=200)
    | (JSON | WISHES).map(lambda value: json.dumps(value).encode())
    | st.integers(0, 4000).map(lambda depth: b"[" * depth)
    | st.integers(MAX_BYTES - 2, MAX_BYTES + 2).map(lambda size: b" " * size)
)
TAILS = st.sampled_from(
    [*(f"bridge/request/{name}" for name in REQUESTS), "enabled/set", "bridge/request/"]
) | st.text(max_size=40).map("bridge/request/".__add__)


@settings(max_examples=400)
@given(st.lists(st.tuples(TAILS, PAYLOADS, st.booleans()), max_size=2 * WAITING + 3))
@example([("bridge/request/health", b'{"transaction": "\\ud800"}', False)])
@example([("bridge/request/test_rule", b'{"transaction": "\\ud800"}', False)])
def test_every_request_is_answered_once_in_json_or_was_none(messages: list[tuple[str, bytes, bool]]):
    answers: list[Message] = []
    seconds = itertools.count(0, 60)  # unhurried: nobody asks too often
    incoming = Incoming(TOPICS, answers.append, clock=lambda: float(next(seconds)))
    for tail, payload, retained in messages:
        incoming.received(f"gesture/kitchen/{tail}", payload, retained)
    while (wish := incoming.next_request()) is not None:
        assert wish.name in {*REQUESTS, "enabled"}
        incoming.respond(wish, {}, f"no rule {wish.data.get('rule')!r}")
    asked = [tail for tail, _, retained in messages if not retained and tail.rpartition("/")[2] in REQUESTS]
    asked = [tail for tail in asked if tail.startswith("bridge/request/") and tail.count("/") == 2]
    told = [a.topic.rpartition("/")[2] for a in answers if not a.topic.endswith("/enabled")]
    assert sorted(told) == sorted(t.rpartition("/")[2] for t in asked)
    for answer in answers:
        told = json.loads(answer.payload)
        assert told["status"] == "error"
        assert set(told) == {"status", "data", "error", "transaction"}
        assert not answer.retain
        assert len(answer.payload) < 3 * MAX_BYTES


@settings(max_examples=200)
@given(st.sampled_from(["home/tv", "home/door", "x"]), PAYLOADS)
def test_a_followed_value_is_a_short_text_or_none(topic: str, payload: bytes):
    incoming = Incoming(TOPICS, lambda _message: None)
    incoming.follow({"home/tv", "home/door"})
    incoming.received(topic, payload, True)
    assert set(incoming.values) == (
        {topic} & {"home/tv", "home/door"} if 0 < len(payload) <= VALUE_BYTES else set()
    )
    assert all(len(text) <= VALUE_BYTES for text in incoming.values.values())
    assert incoming.next_request() is None


TESTS: list[dict[str, Any]] = [{"above": 1.0}, {"below": 1.0}, {"is_": "on"}, {"not_": 3.0}, {"is_": True}]


@settings(max_examples=300)
@given(PAYLOADS, st.sampled_from(TESTS), st.sampled_from([(), ("a",), ("a", "0"), ("0",)]))
@example(b'{"a": ' + b"9" * 400 + b"}", {"above": 1.0}, ("a",))
def test_whatever_a_followed_topic_carries_a_condition_is_true_or_false(
    payload: bytes, wanted: dict[str, Any], path: tuple[str, ...]
):
    assert ValueIs("home/tv", path, **wanted).holds(payload.decode("utf-8", "replace")) in {True, False}


ABOUT = discovery.DeviceInfo(TOPICS, "1", ("front",), ("stop",))
WANTED = {message.topic: message for message in discovery.configs("device", "homeassistant", ABOUT)}
PARTS = st.dictionaries(TEXT, JSON | st.fixed_dictionaries({"platform": JSON}), max_size=3)


@settings(max_examples=200)
@given(PAYLOADS | PARTS.map(lambda parts: json.dumps({"components": parts}).encode()))
@example(b'{"components": {"\\ud800": {"platform": "\\ud800"}}}')
def test_whatever_is_retained_as_our_discovery_is_tidied_without_a_crash(old: bytes):
    (topic,) = WANTED
    for message in discovery.cleanup(topic, old, WANTED):
        assert message.topic == topic
        assert isinstance(json.loads(message.payload), dict)


@pytest.mark.parametrize("payload", [b"ON ", b"1", b"true", b'"ON"', b"ON\0", b"", b"OFF" * 400_000])
def test_the_switch_is_moved_by_on_and_off_alone(payload: bytes):
    incoming = Incoming(TOPICS, lambda _message: None)
    incoming.received(TOPICS.enabled_set, payload, False)
    assert incoming.next_request() is None
    incoming.received(TOPICS.enabled_set, b"OFF", False)
    assert incoming.next_request() == Request("enabled", {"on": False})
