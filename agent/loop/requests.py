"""What people and programs ask of the loop: over MQTT, or from another thread of this process."""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from agent.core.pace import Pace
from agent.loop.ports import EventSink

MAX_CONTROL_REQUESTS = 32  # of other threads, waiting to be answered
A_TURN = 8  # requests of the broker, and as many of other threads: recognition goes on between two turns
SHARED = ("reload", "health")  # done once a turn for all who ask
RELOADS, RELOAD_EVERY_S = 5, 1.0  # by other threads, at once, and seconds between two

Answer: TypeAlias = tuple[dict[str, Any], str]
"""Data and error of a response; the error is empty where all went well."""


@dataclass(frozen=True, slots=True)
class _ControlRequest:
    """What another thread of this process asks for, in the words of `bridge/request/<name>`."""

    name: str
    data: Mapping[str, Any]
    answer: Future[Answer] = field(default_factory=Future)


class Requests:
    """Taken from everywhere, a few a turn, answered in the loop's thread."""

    def __init__(
        self,
        sink: EventSink,
        fulfil: Callable[[str, Mapping[str, Any]], Answer | Future[Answer]],
        clock: Callable[[], float],
    ) -> None:
        """`fulfil` is given the name and the data of a request; a future is answered when it is done."""
        self._out, self._fulfil, self._clock = sink, fulfil, clock
        self._control_requests: queue.Queue[_ControlRequest] = queue.Queue(MAX_CONTROL_REQUESTS)
        self._held: list[_ControlRequest] = []  # taken, and not due yet
        self._reloads = Pace(RELOADS, RELOAD_EVERY_S)

    def ask(self, name: str, data: Mapping[str, Any]) -> Future[Answer]:
        """From any thread. Raises `queue.Full` when too many wait already."""
        control_request = _ControlRequest(name, data)
        self._control_requests.put_nowait(control_request)
        return control_request.answer

    def answer(self) -> None:
        """A few of those that wait: a queue that is refilled all the time must not hold up the loop."""
        done: dict[str, Answer | Future[Answer]] = {}
        for _ in range(A_TURN):
            request = self._out.next_request()
            if request is None:
                break
            _when_done(self._do(request.name, request.data, done), partial(self._respond, request))
        wishes, self._held = self._held, []
        wishes += [
            self._control_requests.get()
            for _ in range(min(A_TURN - len(wishes), self._control_requests.qsize()))
        ]
        for control_request in wishes:
            if (
                control_request.name == "reload"
                and "reload" not in done
                and not self._reloads.take(self._clock())
            ):
                self._held.append(control_request)
            elif control_request.answer.set_running_or_notify_cancel():
                _when_done(
                    self._do(control_request.name, control_request.data, done),
                    control_request.answer.set_result,
                )

    def _do(
        self, name: str, data: Mapping[str, Any], done: dict[str, Answer | Future[Answer]]
    ) -> Answer | Future[Answer]:
        """`done` holds what was fulfilled in this turn and is good for all who ask for it."""
        answer = done.get(name)
        if answer is None:
            answer = self._fulfil(name, data)
            if name in SHARED:
                done[name] = answer
        return answer

    def _respond(self, request: Any, answer: Answer) -> None:
        self._out.respond(request, *answer)


def _when_done(answer: Answer | Future[Answer], tell: Callable[[Answer], None]) -> None:
    """At once, or from whoever completes the future: the loop's thread too."""
    if isinstance(answer, Future):
        answer.add_done_callback(lambda done: tell(done.result()))
    else:
        tell(answer)
