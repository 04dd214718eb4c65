"""Control requests to the loop, over MQTT or from other threads of this process."""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from agent.core.pace import Pace
from agent.loop.ports import EventSink

MAX_CONTROL_REQUESTS = 32  # waiting requests of other threads
A_TURN = 8  # requests of each kind in one step, so that recognition goes on between
SHARED = ("reload", "health")  # executed once a step for all requests
RELOADS, RELOAD_EVERY_S = 5, 1.0  # rate limit of other threads: burst, and seconds between two

Answer: TypeAlias = tuple[dict[str, Any], str]
"""Data and error text of a response; the error is empty on success."""


@dataclass(frozen=True, slots=True)
class _ControlRequest:
    """A request of another thread of this process, named as in `bridge/request/<name>`."""

    name: str
    data: Mapping[str, Any]
    answer: Future[Answer] = field(default_factory=Future)


class Requests:
    """Collects requests from all sources and executes a few in each step, in the loop's thread."""

    def __init__(
        self,
        sink: EventSink,
        fulfil: Callable[[str, Mapping[str, Any]], Answer | Future[Answer]],
        clock: Callable[[], float],
    ) -> None:
        """`fulfil` gets the name and the data of a request; a future is answered when it completes."""
        self._out, self._fulfil, self._clock = sink, fulfil, clock
        self._control_requests: queue.Queue[_ControlRequest] = queue.Queue(MAX_CONTROL_REQUESTS)
        self._held: list[_ControlRequest] = []  # taken but delayed by the rate limit
        self._reloads = Pace(RELOADS, RELOAD_EVERY_S)

    def ask(self, name: str, data: Mapping[str, Any]) -> Future[Answer]:
        """Queue a request, from any thread. Raises `queue.Full` when too many are waiting."""
        control_request = _ControlRequest(name, data)
        self._control_requests.put_nowait(control_request)
        return control_request.answer

    def answer(self) -> None:
        """Execute some of the waiting requests; the number is limited so that the loop is never blocked."""
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
        """Execute a request; `done` holds results of this step that are shared by all requests."""
        answer = done.get(name)
        if answer is None:
            answer = self._fulfil(name, data)
            if name in SHARED:
                done[name] = answer
        return answer

    def _respond(self, request: Any, answer: Answer) -> None:
        self._out.respond(request, *answer)


def _when_done(answer: Answer | Future[Answer], tell: Callable[[Answer], None]) -> None:
    """Call `tell` at once, or when the future completes, which happens in the loop's thread too."""
    if isinstance(answer, Future):
        answer.add_done_callback(lambda done: tell(done.result()))
    else:
        tell(answer)
