"""The threads of the agent: each tells that it moves; one that dies or stands still ends the process.

A process that lost a thread looks alive and does half its work. So it ends instead, with exit code 1,
and whoever supervises it (systemd, a container's restart policy) starts a whole one.
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

TICK_S = 1.0  # how often the threads are looked at
PATIENCE_S = 30.0  # for one step of a thread; more than any that was seen, a disk that is dying included
GRACE_S = 10.0  # for the way out in good order, then the process ends at once

log = structlog.get_logger(__name__)


class ThreadFailed(GestureAgentError):  # noqa: N818 (reads as what happened)
    """A thread died or stood still: the process ends with exit code 1."""


class Watched:
    """How one thread tells that it makes progress.

    `moves` and `rests` are called in that thread and cost an addition. Who has not moved for its
    patience counts as stuck; who rests, waiting for work, never does.
    """

    def __init__(self, name: str, patience_s: float = PATIENCE_S) -> None:
        self.name = name
        self.patience_s = patience_s
        self.failure: BaseException | None = None
        self.ended = False
        self.still_s = 0.0  # of the supervisor: seconds without a move
        self.thread_id: int | None = None
        self._moves = 0
        self._seen = -1
        self._allowed_s = math.inf  # before it starts

    def moves(self, within_s: float | None = None) -> None:
        """It moves, and will again within its patience, or within `within_s` seconds this once."""
        self._allowed_s = self.patience_s if within_s is None else within_s
        self._moves += 1

    def rests(self) -> None:
        """It waits for work, for as long as there is none."""
        self._allowed_s = math.inf
        self._moves += 1

    def begins(self) -> None:
        """It runs now, in the thread that calls."""
        self.thread_id = threading.get_ident()
        self.moves()

    def ends(self) -> None:
        """It is done, as it should be."""
        self.ended = True

    def pass_time(self, seconds: float) -> None:
        """Of the supervisor: so long has the process run since the last look."""
        if self._moves != self._seen or math.isinf(self._allowed_s):
            self._seen, self.still_s = self._moves, 0.0
        else:
            self.still_s += seconds

    @property
    def trouble(self) -> str | None:
        """What is wrong with it, None while all is well."""
        if self.failure is not None:
            return f"the thread {self.name} has ended: {self.failure!r}"
        if not self.ended and self.still_s > self._allowed_s:
            return f"the thread {self.name} has made no progress for {self.still_s:.0f} s"
        return None


class WatchedThread(Watched):
    """A daemon thread that is watched: what it raises is logged, and is the end of the process."""

    def __init__(
        self,
        name: str,
        run: Callable[[], None],
        *,
        patience_s: float = PATIENCE_S,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """`failed` is told, in the thread, that it has died."""
        super().__init__(name, patience_s)
        self._run, self._failed = run, failed
        self._thread = threading.Thread(target=self._guarded, name=name, daemon=True)

    def start(self) -> None:
        """Start it."""
        self._thread.start()

    def join(self, limit_s: float | None = None) -> bool:
        """Wait for its end; True when it has ended or never started."""
        if self._thread.ident is not None:
            self._thread.join(limit_s)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Started and not ended."""
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
    """All watched threads of one process. `supervise` begins to act on what is wrong with them."""

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
        """A thread that is watched from its start on."""
        made = WatchedThread(name, run, patience_s=patience_s, failed=self._news.set)
        self._add(made)
        return made

    def watch(self, name: str, *, patience_s: float = PATIENCE_S) -> Watched:
        """For a thread that somebody else makes, as the main one: it calls `begins`, `moves`, `ends`."""
        made = Watched(name, patience_s)
        self._add(made)
        return made

    def _add(self, made: Watched) -> None:
        with self._lock:  # cameras may come and go; what ended well need not be remembered
            self._watched = [w for w in self._watched if not w.ended or w.failure is not None]
            self._watched.append(made)

    @property
    def trouble(self) -> str | None:
        """What is wrong with the first thread of which something is; None while all are well. Cheap."""
        return next((watched.trouble for watched in self._watched if watched.trouble is not None), None)

    def progress(self) -> Mapping[str, int]:
        """By thread, a counter that moves every second while that thread is well."""
        return {
            w.name: self._looks if w.trouble is None else -1
            for w in self._watched
            if not w.ended or w.failure is not None
        }

    def supervise(self, end: Callable[[], None]) -> None:
        """Look after them from now on. `end` is told to end the process in good order.

        It is called in a thread of its own. When that has taken 10 s without `close`, the process ends
        at once with exit code 1.
        """
        self._end = end
        self._supervisor.start()

    def close(self) -> None:
        """All have ended in good order, or will be left behind."""
        self._closed.set()
        self._news.set()
        if self._supervisor.ident is not None:
            self._supervisor.join()

    def check(self) -> None:
        """Raises `ThreadFailed` when something is wrong with one."""
        trouble = self.trouble
        if trouble is not None:
            raise ThreadFailed(f"{trouble}; the agent ends, to be started again whole")

    def _run(self) -> None:
        last = time.monotonic()
        while not self._closed.is_set():
            self._news.wait(self._tick_s)
            now = time.monotonic()
            # Not what the clock says: a process that was stopped, or a machine that slept, stood still whole.
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
        log.critical("agent_fails", reason=self.trouble, where=self._where())
        try:
            self._end()
            if self._closed.wait(self._grace_s):
                return
            log.critical("agent_ends_at_once", reason=f"the way out took more than {self._grace_s:g} s")
        finally:
            if not self._closed.is_set():
                os._exit(1)

    def _where(self) -> str:
        """Where the stuck thread stands, for whoever has to mend it."""
        stuck = next((w for w in self._watched if w.trouble is not None), None)
        frame = sys._current_frames().get(stuck.thread_id or 0) if stuck and not stuck.failure else None  # noqa: SLF001
        return "" if frame is None else "".join(traceback.format_stack(frame)[-6:])
