"""What the broker brings: requests, the switch, and the values that rules ask for."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import structlog

from agent.delivery import requests
from agent.delivery.message import Message
from agent.delivery.requests import Request, RequestError
from agent.delivery.topics import REQUESTS, Topics

log = structlog.get_logger(__name__)

WAITING = 32  # requests
VALUE_BYTES = 4096  # a longer payload is no value that a rule could ask for


class Answer(Protocol):
    """How a response gets out."""

    def __call__(self, message: Message) -> object:
        """Hand it to the connection."""


class Incoming:
    """`received` runs in the MQTT thread and only enqueues; the rest is called by the loop."""

    def __init__(self, topics: Topics, answer: Answer) -> None:
        self._topics = topics
        self._answer = answer
        self._requests: queue.Queue[Request] = queue.Queue(WAITING)
        self._followed: frozenset[str] = frozenset()
        self.values: Mapping[str, str] = {}  # by topic; replaced as a whole, never changed

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """Topics that are always listened to."""
        return (self._topics.enabled_set, self._topics.request("+"))

    def follow(self, topics: Iterable[str]) -> None:
        """Keep the last payload of these topics, and forget those of others."""
        self._followed = frozenset(topics)
        self.values = {topic: text for topic, text in self.values.items() if topic in self._followed}

    def next_request(self) -> Request | None:
        """The oldest one that waits; None when there is none."""
        try:
            return self._requests.get_nowait()
        except queue.Empty:
            return None

    def respond(self, request: Request, data: Mapping[str, Any] | None, error: str) -> None:
        """Answer; lost when the broker is away, as the asker is too."""
        if request.name in REQUESTS:
            self._answer(
                requests.response(self._topics, request.name, request.transaction, data=data, error=error)
            )

    def received(self, topic: str, payload: bytes, retained: bool) -> None:
        """Sort a message into values, requests or the waste."""
        if topic in self._followed:
            self._value(topic, payload)
        if topic == self._topics.enabled_set:
            self._request(requests.ENABLE, topic, payload, retained)
        elif topic.startswith(self._topics.request("")):
            self._request(topic.removeprefix(self._topics.request("")), topic, payload, retained)

    def _value(self, topic: str, payload: bytes) -> None:
        values = dict(self.values)
        values.pop(topic, None)
        if 0 < len(payload) <= VALUE_BYTES:
            values[topic] = payload.decode("utf-8", "replace")
        self.values = values

    def _request(self, name: str, topic: str, payload: bytes, retained: bool) -> None:
        if retained:
            log.warning(
                "request_ignored", topic=topic[:100], reason="retained: it would act at every restart"
            )
            return
        transaction: requests.Transaction = None
        try:
            wish = requests.enabled(payload) if name == requests.ENABLE else requests.request(name, payload)
            transaction = wish.transaction
            self._requests.put_nowait(wish)
        except RequestError as exc:
            self._refuse(Request(name, transaction=exc.transaction), topic, str(exc))
        except queue.Full:
            self._refuse(Request(name, transaction=transaction), topic, f"{WAITING} requests wait already")

    def _refuse(self, request: Request, topic: str, reason: str) -> None:
        log.warning("request_refused", topic=topic[:100], reason=reason)
        self.respond(request, None, reason)
