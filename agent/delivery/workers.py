"""A few threads for what may be slow: webhooks and commands."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)


class Workers:
    """Runs jobs in daemon threads; refuses rather than queue without end."""

    def __init__(self, name: str, threads: int, backlog: int) -> None:
        self._name = name
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(backlog)
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{n}", daemon=True) for n in range(threads)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def submit(self, job: Callable[[], None]) -> bool:
        """False when all are busy and the backlog is full."""
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            return False
        return True

    def close(self, limit_s: float) -> None:
        """Let running jobs end for `limit_s` seconds altogether, forget the others."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._jobs.get_nowait()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(limit_s / len(self._threads))

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._do(job)

    def _do(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception:  # top of a thread: the next job deserves a chance
            log.exception("job_failed", worker=self._name)
