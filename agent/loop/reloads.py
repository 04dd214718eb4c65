"""Reloading of rules in a thread of its own; the loop replaces its rules when a new set is ready.

A slow disk or a thousand rules must not block the loop. Whatever goes wrong in reading, the old rules stay in
effect and the reason is reported.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import structlog

from agent.core.rules import RuleSet
from agent.errors import ConfigError
from agent.loop.ports import RuleProvider
from agent.loop.requests import Answer
from agent.supervision import Threads, WatchedThread

LOOK_EVERY_S = 1.0  # interval of checks for edited files
GAP_S = 0.5  # shortest interval between two reads: requests within it share a result
LIMIT_S = 10.0  # timeout of a reload request; a thousand rules take 1 s
CLOSE_S = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReloadOutcome:
    """Result of one read: rules or an error. It answers requests with tickets up to `ticket`."""

    ticket: int
    rule_set: RuleSet | None
    error: str = ""


class Reloads:
    """Reads rules in a background thread; requested and polled from the loop's thread."""

    def __init__(
        self, rules: RuleProvider, clock: Callable[[], float], threads: Threads | None = None
    ) -> None:
        self._rules, self._clock = rules, clock
        self._tickets = 0
        self._waiting: list[tuple[int, float, Future[Answer]]] = []  # ticket, deadline, response
        self._orders: queue.SimpleQueue[int | None] = queue.SimpleQueue()  # tickets; None: stop
        self._done: queue.SimpleQueue[ReloadOutcome] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._threads = threads or Threads()
        self._thread: WatchedThread | None = None

    # Called in the loop's thread.

    def start(self) -> None:
        """Start the thread and the checks for edits."""
        self._run()

    def ask(self) -> Future[Answer]:
        """Request a reload; the future is completed in the loop's thread, after `ready` or `late`."""
        self._tickets += 1
        answer: Future[Answer] = Future()
        self._waiting.append((self._tickets, self._clock() + LIMIT_S, answer))
        self._orders.put(self._tickets)
        self._run()
        return answer

    def ready(self) -> ReloadOutcome | None:
        """Return the newest finished read once; None while there is none."""
        found = None
        while not self._done.empty():
            found = self._done.get()
        return found

    def answer(self, loaded: ReloadOutcome, answer: Answer) -> None:
        """Complete the futures of all requests made before this read began."""
        due = [future for ticket, _, future in self._waiting if ticket <= loaded.ticket]
        self._waiting = [one for one in self._waiting if one[0] > loaded.ticket]
        for future in due:
            future.set_result(answer)

    def late(self) -> list[Future[Answer]]:
        """Return the futures of requests that have timed out, and forget them."""
        if not self._waiting:
            return []
        now = self._clock()
        due = [future for _, until, future in self._waiting if now >= until]
        self._waiting = [one for one in self._waiting if now < one[1]]
        return due

    def close(self) -> None:
        """End the thread; a read that hangs is left to the end of the process."""
        self._stopped.set()
        self._orders.put(None)
        if self._thread is not None:
            self._thread.join(CLOSE_S)

    def _run(self) -> None:
        if self._thread is None and not self._stopped.is_set():
            self._thread = self._threads.thread("rules", self._work)
            self._thread.start()

    # Runs in the reading thread.

    def _work(self) -> None:
        if self._thread is not None:
            self._thread.rests()  # a disk that hangs keeps the rules of before, no more
        ticket = 0
        while not self._stopped.is_set():
            asked, ticket = self._next(ticket)
            if self._stopped.is_set():
                return
            if self._changed() or asked:
                self._done.put(self._read(ticket))
                self._stopped.wait(GAP_S)

    def _next(self, ticket: int) -> tuple[bool, int]:
        """Whether a read was requested, and the newest ticket; several requests are served by one read."""
        asked = False
        try:
            order = self._orders.get(timeout=LOOK_EVERY_S)
            while order is not None:
                asked, ticket = True, order
                order = self._orders.get_nowait()
        except queue.Empty:
            pass
        return asked, ticket

    def _changed(self) -> bool:
        try:
            return self._rules.changed()
        except Exception:  # tried again with the next look; reading the files would say why
            log.exception("rules_not_watched")
            return False

    def _read(self, ticket: int) -> ReloadOutcome:
        try:
            return ReloadOutcome(ticket, self._rules.load())
        except ConfigError as exc:
            return ReloadOutcome(ticket, None, str(exc))
        except Exception as exc:  # MemoryError included: the old rules stay in effect in any case
            log.exception("rules_not_read")
            return ReloadOutcome(ticket, None, f"the rules could not be read: {type(exc).__name__}: {exc}")
