"""What people and programs ask of the loop: over MQTT, or from another thread of this process."""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from agent.loop.surroundings import Out

MAX_WISHES = 32  # of other threads, waiting to be answered

Answer: TypeAlias = tuple[dict[str, Any], str]
"""Data and error of a response; the error is empty where all went well."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What another thread of this process asks for, in the words of `bridge/request/<name>`."""

    name: str
    data: Mapping[str, Any]
    answer: Future[Answer] = field(default_factory=Future)


class Requests:
    """Taken from everywhere, answered in the loop's thread."""

    def __init__(self, out: Out, fulfil: Callable[[str, Mapping[str, Any]], Answer | Future[Answer]]) -> None:
        """`fulfil` is given the name and the data of a request; a future is answered when it is done."""
        self._out, self._fulfil = out, fulfil
        self._wishes: queue.Queue[_Wish] = queue.Queue(MAX_WISHES)

    def ask(self, name: str, data: Mapping[str, Any]) -> Future[Answer]:
        """From any thread. Raises `queue.Full` when too many wait already."""
        wish = _Wish(name, data)
        self._wishes.put_nowait(wish)
        return wish.answer

    def answer(self) -> None:
        """All that wait now."""
        while (request := self._out.next_request()) is not None:
            _when_done(self._fulfil(request.name, request.data), partial(self._respond, request))
        while not self._wishes.empty():
            wish = self._wishes.get()
            if wish.answer.set_running_or_notify_cancel():
                _when_done(self._fulfil(wish.name, wish.data), wish.answer.set_result)

    def _respond(self, request: Any, answer: Answer) -> None:
        self._out.respond(request, *answer)


def _when_done(answer: Answer | Future[Answer], tell: Callable[[Answer], None]) -> None:
    """At once, or from whoever completes the future: the loop's thread too."""
    if isinstance(answer, Future):
        answer.add_done_callback(lambda done: tell(done.result()))
    else:
        tell(answer)
