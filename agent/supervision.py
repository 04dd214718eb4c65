"""Supervision of threads: a thread that dies or hangs ends the process.

A process that lost a thread looks alive and does half its work. So it ends with exit code 1, and its
supervisor (systemd, a container's restart policy) starts a new one.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping

import structlog

from agent.errors import GestureAgentError

TICK_S = 1.0  # seconds between checks of the threads
PATIENCE_S = 30.0  # seconds for one step of a thread; more than any observed, a failing disk included
GRACE_S = 10.0  # seconds for an orderly shutdown, then the process ends at once

log = structlog.get_logger(__name__)


class ThreadFailed(GestureAgentError):  # noqa: N818 (reads as what happened)
    """Raised when a thread died or hangs: the process ends with exit code 1."""


class Watched:
    """Heartbeat of one thread.

    `moves` and `rests` are called in that thread and cost an addition. A thread without a heartbeat for its
    patience counts as hung; one that rests, waiting for work, never does.
    """

    def __init__(self, name: str, patience_s: float = PATIENCE_S) -> None:
        self.name = name
        self.patience_s = patience_s
        self.failure: BaseException | None = None
        self.ended = False
        self.still_s = 0.0  # for the supervisor: seconds without a heartbeat
        self.thread_id: int | None = None
        self._moves = 0
        self._seen = -1
        self._allowed_s = math.inf  # before it starts

    def moves(self, within_s: float | None = None) -> None:
        """Record a heartbeat; the next is due within the patience, or within `within_s` seconds this once."""
        self._allowed_s = self.patience_s if within_s is None else within_s
        self._moves += 1

    def rests(self) -> None:
        """Mark the thread as waiting for work, without a time limit."""
        self._allowed_s = math.inf
        self._moves += 1

    def begins(self) -> None:
        """Mark the thread as running; called in it."""
        self.thread_id = threading.get_ident()
        self.moves()

    def ends(self) -> None:
        """Mark the thread as ended in good order."""
        self.ended = True

    def pass_time(self, seconds: float) -> None:
        """Add the run time of the process since the last check. Called by the supervisor."""
        if self._moves != self._seen or math.isinf(self._allowed_s):
            self._seen, self.still_s = self._moves, 0.0
        else:
            self.still_s += seconds

    @property
    def trouble(self) -> str | None:
        """What is wrong with the thread, None in normal operation."""
        if self.failure is not None:
            return f"the thread {self.name} has ended: {self.failure!r}"
        if not self.ended and self.still_s > self._allowed_s:
            return f"the thread {self.name} has made no progress for {self.still_s:.0f} s"
        return None


class WatchedThread(Watched):
    """Supervised daemon thread: an exception is logged and ends the process."""

    def __init__(
        self,
        name: str,
        run: Callable[[], None],
        *,
        patience_s: float = PATIENCE_S,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """`failed` is called in the thread when it dies."""
        super().__init__(name, patience_s)
        self._run, self._failed = run, failed
        self._thread = threading.Thread(target=self._guarded, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, limit_s: float | None = None) -> bool:
        """Wait for its end; True when it has ended or never started."""
        if self._thread.ident is not None:
            self._thread.join(limit_s)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """True while the thread runs."""
        return self._thread.is_alive()

    def _guarded(self) -> None:
        self.begins()
        try:
            self._run()
        except BaseException as exc:
            self.failure = exc
            log.critical("thread_died", thread=self.name, exc_info=True)
            self._failed()
        finally:
            self.ends()


class Threads:
    """All supervised threads of a process. `supervise` starts acting on failures."""

    def __init__(self, tick_s: float = TICK_S, grace_s: float = GRACE_S) -> None:
        self._tick_s, self._grace_s = tick_s, grace_s
        self._watched: list[Watched] = []
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._closed = threading.Event()
        self._looks = 0
        self._end: Callable[[], None] = lambda: None
        self._supervisor = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def thread(self, name: str, run: Callable[[], None], *, patience_s: float = PATIENCE_S) -> WatchedThread:
        """Create a thread that is supervised from its start."""
        made = WatchedThread(name, run, patience_s=patience_s, failed=self._news.set)
        self._add(made)
        return made

    def watch(self, name: str, *, patience_s: float = PATIENCE_S) -> Watched:
        """Supervise a thread created elsewhere, which calls `begins`, `moves`, `ends` (the main thread)."""
        made = Watched(name, patience_s)
        self._add(made)
        return made

    def _add(self, made: Watched) -> None:
        with self._lock:  # cameras come and go; threads that ended well are forgotten
            self._watched = [w for w in self._watched if not w.ended or w.failure is not None]
            self._watched.append(made)

    @property
    def trouble(self) -> str | None:
        """What is wrong with the first failed thread; None if there is none. Cheap."""
        return next((watched.trouble for watched in self._watched if watched.trouble is not None), None)

    def progress(self) -> Mapping[str, int]:
        """Counters by thread that increase every second while the thread makes progress."""
        return {
            w.name: self._looks if w.trouble is None else -1
            for w in self._watched
            if not w.ended or w.failure is not None
        }

    def supervise(self, end: Callable[[], None]) -> None:
        """Start the supervision. `end` is called on a failure to end the process in good order.

        It is called in a thread of its own. If `close` does not follow within 10 s, the process ends
        at once with exit code 1.
        """
        self._end = end
        self._supervisor.start()

    def close(self) -> None:
        """Stop the supervision at shutdown."""
        self._closed.set()
        self._news.set()
        if self._supervisor.ident is not None:
            self._supervisor.join()

    def check(self) -> None:
        """Raise `ThreadFailed` when a thread failed."""
        trouble = self.trouble
        if trouble is not None:
            raise ThreadFailed(f"{trouble}; the agent exits to be restarted")

    def _run(self) -> None:
        last = time.monotonic()
        while not self._closed.is_set():
            self._news.wait(self._tick_s)
            now = time.monotonic()
            # Not wall time: a stopped process or a suspended machine is no hang.
            self._look(min(now - last, 2 * self._tick_s))
            last = now
            if self.trouble is not None and not self._closed.is_set():
                self._end_all()
                return

    def _look(self, passed_s: float) -> None:
        for watched in self._watched:
            watched.pass_time(passed_s)
        self._looks += 1

    def _end_all(self) -> None:
        log.critical("agent_failed", reason=self.trouble, where=self._where())
        try:
            self._end()
            if self._closed.wait(self._grace_s):
                return
            log.critical("agent_exits_at_once", reason=f"the shutdown took more than {self._grace_s:g} s")
        finally:
            if not self._closed.is_set():
                os._exit(1)

    def _where(self) -> str:
        """Stack of the hung thread, for diagnosis."""
        stuck = next((w for w in self._watched if w.trouble is not None), None)
        frame = sys._current_frames().get(stuck.thread_id or 0) if stuck and not stuck.failure else None  # noqa: SLF001
        return "" if frame is None else "".join(traceback.format_stack(frame)[-6:])
