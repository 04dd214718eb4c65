"""Small thread pool for slow jobs: webhooks and commands."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable
from functools import partial

import structlog

from agent.supervision import Threads

log = structlog.get_logger(__name__)


class Workers:
    """Thread pool with a bounded backlog; refuses jobs beyond it.

    A job that takes longer than `job_s` seconds counts as hung: it needs a timeout of its own.
    """

    def __init__(self, threads: Threads, name: str, count: int, backlog: int, *, job_s: float) -> None:
        self._name, self._job_s = name, job_s
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(backlog)
        self._threads = [threads.thread(f"{name}-{n}", partial(self._run, n)) for n in range(count)]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def submit(self, job: Callable[[], None]) -> bool:
        """Queue a job; False when all threads are busy and the backlog is full."""
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            return False
        return True

    def close(self, limit_s: float) -> None:
        """Let running jobs end for `limit_s` seconds altogether; abandon the others."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._jobs.get_nowait()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(limit_s / len(self._threads))

    def _run(self, number: int) -> None:
        thread = self._threads[number]
        thread.rests()
        while (job := self._jobs.get()) is not None:
            thread.moves(self._job_s)
            self._do(job)
            thread.rests()

    def _do(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception:  # top of a thread: the next job must still run
            log.exception("job_failed", worker=self._name)
