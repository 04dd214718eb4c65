"""Rules are read in a thread of their own; the loop takes what is ready and swaps it whole.

A folder on a disk that hangs, or a thousand rules, must not keep the loop from its cameras. Whatever goes
wrong in reading, the rules that ran before stay, and the reason is told.
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

LOOK_EVERY_S = 1.0  # at the rule files, for edits
GAP_S = 0.5  # between two readings: who asks more often shares an answer
LIMIT_S = 10.0  # a thousand rules take one; nobody waits longer for an answer
CLOSE_S = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReloadOutcome:
    """What came of one reading: a book, or what is wrong. It began after `ticket` requests."""

    ticket: int
    book: RuleSet | None
    error: str = ""


class Reloads:
    """Asked and emptied in the loop's thread; reads in its own."""

    def __init__(
        self, rules: RuleProvider, clock: Callable[[], float], threads: Threads | None = None
    ) -> None:
        self._rules, self._clock = rules, clock
        self._tickets = 0
        self._waiting: list[tuple[int, float, Future[Answer]]] = []  # ticket, until when, whose answer
        self._orders: queue.SimpleQueue[int | None] = queue.SimpleQueue()  # tickets; None: stop
        self._done: queue.SimpleQueue[ReloadOutcome] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._threads = threads or Threads()
        self._thread: WatchedThread | None = None

    # The loop's thread.

    def start(self) -> None:
        """Look for edits from now on."""
        self._run()

    def ask(self) -> Future[Answer]:
        """Read the rules again; answered from `ready` or `late`, in the loop's thread."""
        self._tickets += 1
        answer: Future[Answer] = Future()
        self._waiting.append((self._tickets, self._clock() + LIMIT_S, answer))
        self._orders.put(self._tickets)
        self._run()
        return answer

    def ready(self) -> ReloadOutcome | None:
        """The newest reading that is done, once; None while there is none."""
        found = None
        while not self._done.empty():
            found = self._done.get()
        return found

    def answer(self, loaded: ReloadOutcome, answer: Answer) -> None:
        """Tell all who asked before this reading began."""
        due = [future for ticket, _, future in self._waiting if ticket <= loaded.ticket]
        self._waiting = [one for one in self._waiting if one[0] > loaded.ticket]
        for future in due:
            future.set_result(answer)

    def late(self) -> list[Future[Answer]]:
        """Those who have waited too long; they wait no more."""
        if not self._waiting:
            return []
        now = self._clock()
        due = [future for _, until, future in self._waiting if now >= until]
        self._waiting = [one for one in self._waiting if now < one[1]]
        return due

    def close(self) -> None:
        """A reading that hangs is left to the end of the process."""
        self._stopped.set()
        self._orders.put(None)
        if self._thread is not None:
            self._thread.join(CLOSE_S)

    def _run(self) -> None:
        if self._thread is None and not self._stopped.is_set():
            self._thread = self._threads.thread("rules", self._work)
            self._thread.start()

    # The thread that reads.

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
        """Whether somebody asked, and the newest ticket; several are one."""
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
        except Exception:  # the next look may fare better; a reading would tell
            log.exception("rules_not_watched")
            return False

    def _read(self, ticket: int) -> ReloadOutcome:
        try:
            return ReloadOutcome(ticket, self._rules.load())
        except ConfigError as exc:
            return ReloadOutcome(ticket, None, str(exc))
        except Exception as exc:  # also MemoryError: whatever it is, the old rules are there
            log.exception("rules_not_read")
            return ReloadOutcome(ticket, None, f"the rules could not be read: {type(exc).__name__}: {exc}")
