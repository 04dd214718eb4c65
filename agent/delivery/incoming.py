"""Incoming MQTT messages: requests, the `enabled` switch, and values that rules read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeAlias

from agent.core.pace import Pace
from agent.delivery import requests
from agent.delivery.invalid_messages import InvalidMessageLog
from agent.delivery.message import Message
from agent.delivery.request_queue import WAITING, RequestQueue, TooManyRequestsError
from agent.delivery.requests import Request, RequestError
from agent.delivery.topics import REQUESTS, Topics

VALUE_BYTES = 4096  # longest payload that rules can read
REFUSALS, REFUSAL_EVERY_S = 50, 0.2  # answers to refusals: burst, and seconds between two in a flood


Fault: TypeAlias = Callable[[str, str], str]  # topic, payload


class ResponsePublisher(Protocol):
    """Callable that publishes a response."""

    def __call__(self, message: Message) -> str | None:
        """Publish the response; return why the broker would not take it, None on success."""


def usable(_topic: str, _payload: str) -> str:
    """Accept every value (the default `fault`)."""
    return ""


class Incoming:
    """Sorts incoming messages.

    `received` runs in the MQTT thread and only enqueues; the loop calls the rest.
    """

    def __init__(
        self, topics: Topics, answer: ResponsePublisher, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._topics = topics
        self._answer = answer
        self._clock = clock
        self._requests = RequestQueue(clock)
        self._refusals = Pace(REFUSALS, REFUSAL_EVERY_S)
        self._invalid_messages = InvalidMessageLog(clock)
        self._lock = threading.Lock()  # guards the next three
        self._followed: frozenset[str] = frozenset()
        self._fault: Fault = usable
        self._values: Mapping[str, str] = {}  # by topic; replaced as a whole, never mutated

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """Topics that are always subscribed to."""
        return (self._topics.enabled_set, self._topics.request("+"))

    @property
    def values(self) -> Mapping[str, str]:
        """Snapshot of the last payload of every followed topic that has one."""
        return self._values

    @property
    def unusable(self) -> int:
        """Number of received messages that could not be used."""
        return self._invalid_messages.count

    def follow(self, topics: Iterable[str], fault: Fault = usable) -> None:
        """Keep the last payload of these topics, and drop those of others.

        `fault` returns why a topic's value cannot be used, empty if it can; called in the MQTT
        thread.
        """
        with self._lock:
            self._fault = fault
            self._followed = frozenset(topics)
            self._values = {topic: text for topic, text in self._values.items() if topic in self._followed}

    def next_request(self) -> Request | None:
        """Return the next request that is due; None when there is none."""
        return self._requests.take()

    def respond(self, request: Request, data: Mapping[str, Any] | None, error: str) -> None:
        """Publish the response to all who asked; lost while the broker is away."""
        if request.name in REQUESTS or error:
            for transaction in (request.transaction, *request.also):
                answer = requests.response(self._topics, request.name, transaction, data=data, error=error)
                if fault := self._answer(answer):
                    short = f"the answer cannot be sent: {fault}"
                    self._answer(requests.response(self._topics, request.name, transaction, error=short))

    def received(self, topic: str, payload: bytes, retained: bool) -> None:
        """Sort a message into values or requests, or count it as unusable."""
        if topic in self._followed:
            self._value(topic, payload)
        if topic == self._topics.enabled_set:
            self._request(requests.ENABLE, topic, payload, retained)
        elif topic.startswith(self._topics.request("")):
            self._request(topic.removeprefix(self._topics.request("")), topic, payload, retained)

    def _value(self, topic: str, payload: bytes) -> None:
        fits = 0 < len(payload) <= VALUE_BYTES
        text = payload.decode("utf-8", "replace") if fits else None
        with self._lock:
            if topic not in self._followed:
                return
            values = dict(self._values)
            before = values.pop(topic, None)
            if text is not None:
                values[topic] = text
            self._values = values
        if text is None or text != before:
            self._judge(topic, payload, text)

    def _judge(self, topic: str, payload: bytes, text: str | None) -> None:
        """Log what is wrong with a value, if anything; an empty payload only deletes the value."""
        reason = ""
        if len(payload) > VALUE_BYTES:
            reason = f"{len(payload)} bytes, at most {VALUE_BYTES} are read; rules see no value"
        elif text is not None and text.encode() != payload:
            reason = "not UTF-8; rules see \ufffd where it is not"
        elif text is not None:
            reason = self._fault(topic, text)
        if reason:
            self._invalid_messages.warn("value_unusable", topic, reason)
        else:
            self._invalid_messages.reset(topic)

    def _request(self, name: str, topic: str, payload: bytes, retained: bool) -> None:
        if retained:
            if payload:
                self._invalid_messages.warn(
                    "request_ignored",
                    topic,
                    "it is retained and would act at every restart; publish it without",
                )
            return
        transaction: requests.Transaction = None
        try:
            request = (
                requests.enabled(payload) if name == requests.ENABLE else requests.request(name, payload)
            )
            transaction = request.transaction
            self._requests.put(request)
        except RequestError as exc:
            self._refuse(Request(name, transaction=exc.transaction), topic, str(exc))
        except TooManyRequestsError:
            self._refuse(Request(name, transaction=transaction), topic, f"{WAITING} requests wait already")

    def _refuse(self, request: Request, topic: str, reason: str) -> None:
        known = request.name in (*REQUESTS, requests.ENABLE)
        self._invalid_messages.warn("request_refused", topic if known else self._topics.request("?"), reason)
        if known and self._refusals.take(self._clock()):
            self.respond(request, None, reason)
