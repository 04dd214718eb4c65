"""Thread that owns the outbox: commits new rows, sends them, removes delivered ones.

Everything reaches it through one inbox: new rows from the loop, acknowledgements and connection changes
from the MQTT thread, results from webhooks. It alone changes the outbox, so nothing needs a lock.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeAlias

import structlog

from agent.delivery.clocks import Clocks
from agent.delivery.link import Ack, Link, LinkEvent, LinkUp, ProbeAnswered
from agent.delivery.outbox.mqtt_sender import MqttSender
from agent.delivery.outbox.outbox import EXPIRE_AT_ONCE, Outbox, OutboxStats, Row
from agent.delivery.outbox.outcome import DeliveryOutcome
from agent.delivery.outbox.webhook_sender import WebhookDone, WebhookSender
from agent.errors import CannotStart
from agent.supervision import Threads

log = structlog.get_logger(__name__)

TICK_S = 0.25  # seconds between checks of the deadlines
STATS_EVERY_S = 1.0
TELL_EVERY_S = 10.0
BATCH = 500  # rows and events that share a commit
INBOX = 20_000  # rows; if the disk is slower than the loop by more, the newest are dropped

OnPublished: TypeAlias = Callable[[str, bytes], None]
_Item: TypeAlias = "Row | LinkEvent | WebhookDone | None"


class OutboxWorker:
    """Outbox worker thread; `add`, `report` and `flush` may be called from any thread."""

    def __init__(
        self,
        outbox: Outbox,
        clocks: Clocks,
        link: Link,
        *,
        webhook_timeout_s: float = 5.0,
        on_published: OnPublished | None = None,
        threads: Threads | None = None,
    ) -> None:
        threads = threads or Threads()
        self._outbox = outbox
        self._clocks = clocks
        self._on_published = on_published
        self._inbox: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._mqtt_sender = MqttSender(outbox, clocks, link)
        self._webhook_sender = WebhookSender(outbox, clocks, webhook_timeout_s, self._inbox.put, threads)
        self._thread = threads.thread("outbox", self._run)
        self._opened = threading.Event()
        self._empty = threading.Event()
        self._closing = False
        self._failure: CannotStart | None = None
        self._filled_s = 0.0
        self._expired_s = 0.0
        self._hurry = False
        self._told_s = 0.0
        self._untold: list[Row] = []
        self.fill = OutboxStats()
        self.lost = 0  # rows dropped because the inbox was full

    @property
    def counters(self) -> dict[str, int]:
        """Number of rows by outcome, since the file was created."""
        return dict(self._outbox.counters)

    @property
    def trouble(self) -> str | None:
        """Why rows wait in memory instead of on disk, None in normal operation."""
        return self._outbox.trouble

    def start(self) -> None:
        """Open the outbox in its thread. Raises `CannotStart`."""
        self._thread.start()
        self._opened.wait()
        if self._failure is not None:
            raise self._failure

    def add(self, row: Row) -> None:
        """Queue a row. Never blocks; drops the row when the inbox is full."""
        if self._inbox.qsize() >= INBOX:
            self.lost += 1
            return
        self._empty.clear()
        self._inbox.put(row)

    def report(self, event: LinkEvent) -> None:
        """Queue a report of the MQTT connection. Only enqueues, because paho holds its locks meanwhile."""
        if isinstance(event, (LinkUp, Ack, ProbeAnswered)):
            self._mqtt_sender.broker_seen(event.generation)
        self._inbox.put(event)

    def flush(self, limit_s: float) -> bool:
        """Wait until no rows wait any more; False after `limit_s` seconds."""
        return self._empty.wait(limit_s)

    def close(self) -> None:
        """End the thread; rows added before are committed, waiting ones stay on disk."""
        self._closing = True
        self._inbox.put(None)
        self._thread.join()

    # The outbox thread.

    def _run(self) -> None:
        try:
            self._outbox.open()
            self.fill = self._outbox.stats()
        except CannotStart as exc:
            self._failure = exc
            return
        finally:
            self._opened.set()
        self._webhook_sender.start()
        try:
            while self._step():
                self._thread.moves()
        finally:
            self._webhook_sender.close()
            doubts = (
                self._mqtt_sender.maybe_arrived | self._mqtt_sender.busy | self._webhook_sender.maybe_arrived
            )
            self._outbox.close(certain=not doubts and not self._webhook_sender.busy)

    def _step(self) -> bool:
        """One round: read the inbox, commit, send, remove. False when it is time to end."""
        rows, events = self._collect()
        self._outbox.add(rows)
        self._outbox.enforce_limits()
        outcomes = [outcome for event in events for outcome in self._handle(event)]
        if not self._closing:
            outcomes += self._mqtt_sender.send()  # before removing: sending need not wait for the disk
            self._webhook_sender.send()
        self._conclude(outcomes)
        self._expire()
        self._outbox.retry_storage()
        self._measure(quiet=not rows and not events)
        return not (self._closing and self._inbox.empty())

    def _collect(self) -> tuple[list[Row], list[LinkEvent | WebhookDone]]:
        rows: list[Row] = []
        events: list[LinkEvent | WebhookDone] = []
        try:
            item = self._inbox.get(timeout=0.0 if self._hurry else TICK_S)
            while True:
                if isinstance(item, Row):
                    rows.append(item)
                elif item is not None:
                    events.append(item)
                if len(rows) + len(events) >= BATCH:
                    break
                item = self._inbox.get_nowait()
        except queue.Empty:
            pass
        return rows, events

    def _handle(self, event: LinkEvent | WebhookDone) -> list[DeliveryOutcome]:
        return (
            self._webhook_sender.handle(event)
            if isinstance(event, WebhookDone)
            else self._mqtt_sender.handle(event)
        )

    def _conclude(self, outcomes: list[DeliveryOutcome]) -> None:
        delivered = [outcome for outcome in outcomes if outcome.delivered]
        self._outbox.mark_delivered([o.row.id for o in delivered], sum(o.no_subscriber for o in delivered))
        for outcome in outcomes:
            row = outcome.row
            if not outcome.delivered:
                log.error("event_refused", target=row.shown, event_id=row.event_id, reason=outcome.reason)
                self._outbox.dead_letter(row, outcome.reason)
            elif self._on_published is not None and row.kind == "publish":
                self._on_published(row.target, row.payload)

    def _expire(self) -> None:
        now = self._clocks.boot_s()
        if now - self._expired_s < TICK_S and not self._hurry:
            return
        self._expired_s = now
        sent = self._mqtt_sender.maybe_arrived | self._webhook_sender.maybe_arrived
        late = self._outbox.expire(self._mqtt_sender.busy | self._webhook_sender.busy, sent)
        for row in late:
            self._mqtt_sender.forget_row(row.id)
            self._webhook_sender.forget_row(row.id)
        self._hurry = len(late) >= EXPIRE_AT_ONCE  # there may be more
        self._report_expired(late, now)

    def _report_expired(self, late: list[Row], now: float) -> None:
        """Log expired rows at once, then summed up: an outage must not flood the log."""
        self._untold += late
        if self._untold and now - self._told_s >= TELL_EVERY_S:
            first = self._untold[0]
            log.warning("event_expired", count=len(self._untold), target=first.shown, event_id=first.event_id)
            self._untold, self._told_s = [], now

    def _measure(self, *, quiet: bool) -> None:
        now = self._clocks.boot_s()
        if quiet or now - self._filled_s >= STATS_EVERY_S:
            self._filled_s = now
            self.fill = self._outbox.stats()
        if quiet and self.fill.depth == 0 and self._inbox.empty():
            self._empty.set()
