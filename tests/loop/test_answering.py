"""Requests of the broker and of other threads, fulfilled one after the other."""

from __future__ import annotations

import queue
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from agent.loop.requests import A_TURN, MAX_CONTROL_REQUESTS, RELOAD_EVERY_S, RELOADS, Answer, Requests
from agent.recording import NullSink


@dataclass
class Asked:
    name: str
    data: Mapping[str, Any]


class Broker(NullSink):
    """Brings requests and takes the answers."""

    def __init__(self, *waiting: Asked) -> None:
        self.waiting = list(waiting)
        self.answers: list[tuple[str, Mapping[str, Any] | None, str]] = []

    def next_request(self) -> Any:
        return self.waiting.pop(0) if self.waiting else None

    def respond(self, request: Any, data: Mapping[str, Any] | None = None, error: str = "") -> None:
        self.answers.append((request.name, data, error))


def echo(name: str, data: Mapping[str, Any]) -> Answer:
    return {"did": name, **data}, ""


def test_all_that_wait_are_answered_those_of_the_broker_first():
    done: list[str] = []

    def fulfil(name: str, _data: Mapping[str, Any]) -> Answer:
        done.append(name)
        return {}, "no" if name == "b" else ""

    broker = Broker(Asked("a", {}), Asked("b", {}))
    requests = Requests(broker, fulfil, lambda: 0.0)
    wish = requests.ask("c", {})
    requests.answer()
    assert done == ["a", "b", "c"]
    assert broker.answers == [("a", {}, ""), ("b", {}, "no")]
    assert wish.result(0) == ({}, "")


def test_a_wish_that_was_taken_back_is_not_fulfilled():
    done: list[str] = []
    requests = Requests(Broker(), lambda name, _data: (done.append(name), ({}, ""))[1], lambda: 0.0)
    requests.ask("late", {}).cancel()
    kept = requests.ask("kept", {"on": True})
    requests.answer()
    assert done == ["kept"]
    assert kept.done()


class Endless(NullSink):
    """A broker whose queue is full again as soon as one is taken from it."""

    def __init__(self) -> None:
        self.answers = 0

    def next_request(self) -> Any:
        return Asked("reload", {})

    def respond(self, *_: object, **__: object) -> None:
        self.answers += 1


def test_a_queue_that_is_refilled_as_fast_as_it_is_emptied_does_not_hold_up_the_loop():
    broker, done = Endless(), []
    requests = Requests(broker, lambda name, _data: (done.append(name), ({}, ""))[1], lambda: 0.0)
    requests.answer()
    assert done == ["reload"]
    assert broker.answers == A_TURN


def test_reloads_that_are_asked_for_together_are_one_and_those_that_follow_wait_their_turn():
    done: list[str] = []
    now = 0.0
    requests = Requests(Broker(), lambda name, _data: (done.append(name), ({}, ""))[1], lambda: now)
    together = [requests.ask("reload", {}) for _ in range(3)]
    requests.answer()
    assert (len(done), all(wish.done() for wish in together)) == (1, True)
    for _ in range(RELOADS + 3):
        last = requests.ask("reload", {})
        requests.answer()
    assert len(done) == RELOADS
    assert not last.done()
    assert requests.ask("health", {}).cancel()
    now = RELOAD_EVERY_S
    requests.answer()
    assert (len(done), last.done()) == (RELOADS + 1, True)


def test_who_asks_for_too_much_at_once_is_reported():
    requests = Requests(Broker(), echo, lambda: 0.0)
    for number in range(MAX_CONTROL_REQUESTS):
        requests.ask("health", {"n": number})
    with pytest.raises(queue.Full):
        requests.ask("health", {})
