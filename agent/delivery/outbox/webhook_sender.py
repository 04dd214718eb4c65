"""Sending of outbox rows to webhooks: a few at a time, retried until their deadline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from agent.backoff import Backoff
from agent.core.timestamps import rfc3339
from agent.delivery.clocks import Clocks
from agent.delivery.outbox.outbox import Outbox, Row
from agent.delivery.outbox.outcome import DeliveryOutcome
from agent.delivery.outbox.webhook import WebhookResponse, post
from agent.delivery.workers import Workers
from agent.supervision import Threads

log = structlog.get_logger(__name__)

AT_ONCE = 4
BACKOFF = Backoff(0.5, 30.0)
JOB_SLACK_S = 60.0  # for a resolver that takes its time, which nothing can cut short


@dataclass(frozen=True, slots=True)
class WebhookDone:
    """Report of a worker that a request has ended."""

    row: Row
    answer: WebhookResponse


class WebhookSender:
    """Sends rows to webhooks.

    Used by the outbox thread only; workers call `answered`, which only enqueues.
    """

    def __init__(
        self,
        outbox: Outbox,
        clocks: Clocks,
        timeout_s: float,
        answered: Callable[[WebhookDone], None],
        threads: Threads,
    ) -> None:
        self._outbox = outbox
        self._clocks = clocks
        self._timeout_s = timeout_s
        self._answered = answered
        self._workers = Workers(threads, "webhook", AT_ONCE, AT_ONCE, job_s=timeout_s + JOB_SLACK_S)
        self._sent_to = 0
        self._away: set[int] = set()
        self._maybe: set[int] = set()
        self._again: dict[int, float] = {}  # row id: time of the retry, in seconds since boot
        self._tries: dict[int, int] = {}

    @property
    def busy(self) -> set[int]:
        """Ids of rows that a worker holds."""
        return set(self._away)

    @property
    def maybe_arrived(self) -> set[int]:
        """Ids of rows whose request was sent without an answer; if they expire, they count as unknown."""
        return self._maybe

    def start(self) -> None:
        """Start the workers."""
        self._workers.start()

    def close(self) -> None:
        """Stop; running requests get a second, undelivered rows stay in the outbox."""
        self._workers.close(1.0)

    def handle(self, answered: WebhookDone) -> list[DeliveryOutcome]:
        """Process the result of a request; return the outcome of a finished row."""
        row, answer = answered.row, answered.answer
        self._away.discard(row.id)
        if answer.perhaps:
            self._maybe.add(row.id)
        if answer.delivered or not answer.again:
            self.forget_row(row.id)
            return [DeliveryOutcome(row, answer.delivered, f"the webhook refused it: {answer.reason}")]
        tries = self._tries[row.id] = self._tries.get(row.id, 0) + 1
        self._again[row.id] = self._clocks.boot_s() + BACKOFF.after(tries)
        if tries == 1:
            log.warning("webhook_failed", target=row.shown, event_id=row.event_id, reason=answer.reason)
        return []

    def send(self) -> None:
        """Give waiting rows to idle workers."""
        now = self._clocks.boot_s()
        due = [self._outbox.get(row_id) for row_id, at in list(self._again.items()) if at <= now]
        fresh = self._outbox.next("webhook", self._sent_to, AT_ONCE) if len(self._away) < AT_ONCE else []
        for row in [row for row in due if row is not None] + fresh:
            if len(self._away) >= AT_ONCE:
                return
            if self._clocks.left_s(row.deadline) > 0:
                self._outbox.sending()
                self._away.add(row.id)
                self._workers.submit(_Request(row, self._clocks, self._timeout_s, self._answered))
            self._again.pop(row.id, None)
            self._sent_to = max(self._sent_to, row.id)

    def forget_row(self, row_id: int) -> None:
        """Forget a row that has left the outbox."""
        self._again.pop(row_id, None)
        self._tries.pop(row_id, None)
        self._maybe.discard(row_id)


@dataclass(frozen=True, slots=True)
class _Request:
    row: Row
    clocks: Clocks
    timeout_s: float
    answered: Callable[[WebhookDone], None]

    def __call__(self) -> None:
        row = self.row
        answer = post(
            row.target,
            row.payload,
            content_type=row.content_type,
            event_id=row.event_id,
            headers=dict(row.options),
            timeout_s=min(self.clocks.left_s(row.deadline), self.timeout_s),
            expires_at=rfc3339(row.deadline.wall_s),
        )
        self.answered(WebhookDone(row, answer))
