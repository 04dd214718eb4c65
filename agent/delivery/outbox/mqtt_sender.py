"""Publishing of outbox rows to the broker through a window of unacknowledged messages.

A row is, at any moment, one of: waiting (id above `_sent_to`), in flight (by its mid), or refused and
waiting for a retry. When the connection breaks all of them wait again, from the oldest.

What is in the broker's socket cannot be withdrawn: a frozen broker forwards it when it resumes. So a
row is sent only after a recent sign of life from the broker, which is requested, and one that was
in flight when the connection broke and then expires is counted as unknown.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from agent.backoff import Backoff
from agent.core.timestamps import rfc3339
from agent.delivery.clocks import Clocks
from agent.delivery.link import Ack, Link, LinkDown, LinkEvent, LinkUp
from agent.delivery.message import Message
from agent.delivery.outbox.outbox import Outbox, Row
from agent.delivery.outbox.outcome import DeliveryOutcome

PROOF_S = 0.25  # seconds; an older sign of life proves nothing
PROBE_WAIT_S = 0.05  # seconds to wait for the answer, typically 1 ms: saves a round and a commit
PROBE_EVERY_S = 1.0  # seconds after which an unanswered probe is repeated
ACK_PATIENCE_S = 1.0  # seconds; a later acknowledgement means that the broker hangs: send it no more
ABORT_S = 0.5  # seconds past the deadline after which the connection is cut before the message arrives late
ACK_LIMIT_S = 30.0  # seconds without acknowledgement after which the connection is replaced
MARGIN_S, MARGIN_SHARE = 0.2, 0.1  # of its lifetime: with less time left it is not sent
REFUSALS = 5  # tries before a refused row becomes a dead letter
REFUSED_BACKOFF = Backoff(0.5, 60.0)
STRIKES = 3  # connections that one row may cost before it becomes a dead letter
STRIKE_S = 5.0  # a connection lost within this time after a lone row was sent counts against the row
NO_SUBSCRIBER, REFUSED = 16, 128  # MQTT 5.0, 3.4.2.1
OVERHEAD = 128  # bytes of headers and properties around a payload


@dataclass(slots=True)
class _InFlight:
    row: Row
    sent_s: float
    alone: bool


@dataclass(slots=True)
class _Refusal:
    row: Row
    reason: str
    tries: int
    again_s: float


class MqttSender:
    """Sends rows to the broker and tracks those in flight. Used by the outbox thread only."""

    def __init__(self, outbox: Outbox, clocks: Clocks, link: Link) -> None:
        self._outbox = outbox
        self._clocks = clocks
        self._link = link
        self._up: LinkUp | None = None
        self._sent_to = 0
        self._in_flight: dict[int, _InFlight] = {}  # by mid
        self._refusals: dict[int, _Refusal] = {}  # by row id
        self._strikes: dict[int, int] = {}  # by row id
        self._suspects: set[int] = set()  # were in flight when a connection broke: sent one by one
        self._maybe: set[int] = set()  # were in flight when a connection broke: may have arrived
        self._broker_seen: tuple[int, float] = (0, 0.0)  # connection, and the last sign of life of its broker
        self._sign = threading.Event()
        self._probed_s: float | None = None  # when a probe was sent

    @property
    def busy(self) -> set[int]:
        """Ids of rows that must not expire yet."""
        return {in_flight.row.id for in_flight in self._in_flight.values()} | set(self._refusals)

    @property
    def maybe_arrived(self) -> set[int]:
        """Ids of rows that were sent without acknowledgement; if they expire, they count as unknown."""
        return self._maybe

    def broker_seen(self, generation: int) -> None:
        """Note a sign of life. Called in the MQTT thread."""
        self._broker_seen = (generation, self._clocks.boot_s())
        self._sign.set()

    def handle(self, event: LinkEvent) -> list[DeliveryOutcome]:
        """Process a report of the connection; return finished rows."""
        if isinstance(event, LinkUp):
            self._all_wait_again()
            self._up = event
            self._probed_s = None
        elif self._up is None or event.generation != self._up.generation:
            return []
        elif isinstance(event, LinkDown):
            return self._broke(event)
        elif isinstance(event, Ack):
            return self._acknowledged(event)
        return []

    def send(self) -> list[DeliveryOutcome]:
        """Fill the window; return rows that failed for good."""
        now = self._clocks.boot_s()
        ended = self._end_of_patience()
        if self._up is None or self._broker_hangs(now):
            return ended
        rows = self._due(now) + self._fresh(self._up.window - len(self._in_flight))
        rows = [row for row in rows if self._in_time(row)]
        if not rows or not self._broker_is_there(self._up):
            return ended
        self._outbox.sending()
        for row in rows:
            careful = row.id <= max(self._suspects, default=0)
            if len(self._in_flight) >= (1 if careful else self._up.window):
                break
            outcome = self._publish(row, now, self._up, alone=careful)
            if outcome is not None:
                ended.append(outcome)
                self.forget_row(row.id)
            self._sent_to = max(self._sent_to, row.id)
        return ended

    def forget_row(self, row_id: int) -> None:
        """Forget a row that has left the outbox."""
        self._maybe.discard(row_id)
        self._refusals.pop(row_id, None)
        self._strikes.pop(row_id, None)
        self._suspects.discard(row_id)

    def _due(self, now: float) -> list[Row]:
        return [refusal.row for refusal in self._refusals.values() if refusal.again_s <= now]

    def _fresh(self, room: int) -> list[Row]:
        return self._outbox.next("publish", self._sent_to, room) if room > 0 else []

    def _publish(self, row: Row, now: float, up: LinkUp, *, alone: bool) -> DeliveryOutcome | None:
        """Publish a row; return an outcome only if it can never be sent.

        An expired row is left to `expire`.
        """
        left_s = self._clocks.left_s(row.deadline)
        if not self._in_time(row):
            return None
        if up.max_packet is not None and row.size + OVERHEAD > up.max_packet:
            return DeliveryOutcome(
                row, False, f"{row.size} bytes and headers exceed the broker's {up.max_packet}"
            )
        expiry_s = None if row.retain else left_s  # a state does not become wrong by age
        message = Message(
            row.target,
            row.payload,
            1,
            row.retain,
            row.content_type,
            row.event_id,
            expiry_s,
            "" if row.retain else rfc3339(row.deadline.wall_s),
        )
        try:
            mid = self._link.publish(message, up.generation)
        except ValueError as exc:
            return DeliveryOutcome(row, False, f'topic "{row.target}": {exc}')
        if mid is not None:
            self._in_flight[mid] = _InFlight(row, now, alone)
            if row.id in self._refusals:
                self._refusals[row.id].again_s = float("inf")
        return None  # without a mid the connection is gone: `LinkDown` follows, and all rows wait again

    def _in_time(self, row: Row) -> bool:
        left_s = self._clocks.left_s(row.deadline)
        return left_s > min(MARGIN_S, MARGIN_SHARE * row.deadline.lifetime_s)

    def _broker_is_there(self, up: LinkUp) -> bool:
        """Return whether the broker gave a recent sign of life; if not, probe it."""
        if self._proven(up):
            self._probed_s = None
            return True
        now = self._clocks.boot_s()
        if self._probed_s is not None and now - self._probed_s < PROBE_EVERY_S:
            answered = self._broker_seen[0] == up.generation and self._broker_seen[1] >= self._probed_s
            if not answered:
                return False
        self._sign.clear()
        self._probed_s = now
        self._link.probe(up.generation)
        self._sign.wait(PROBE_WAIT_S)
        return self._proven(up)

    def _proven(self, up: LinkUp) -> bool:
        generation, at_s = self._broker_seen
        return generation == up.generation and self._clocks.boot_s() - at_s <= PROOF_S

    def _acknowledged(self, ack: Ack) -> list[DeliveryOutcome]:
        in_flight = self._in_flight.pop(ack.mid, None)
        if in_flight is None:
            return []  # a state or a response: not ours
        row = in_flight.row
        self._suspects.discard(row.id)
        if ack.code < REFUSED:
            self.forget_row(row.id)
            return [DeliveryOutcome(row, True, no_subscriber=ack.code == NO_SUBSCRIBER)]
        before = self._refusals.get(row.id)
        tries = before.tries + 1 if before else 1
        if tries >= REFUSALS:
            self.forget_row(row.id)
            return [DeliveryOutcome(row, False, f"the broker refused it: {ack.reason}")]
        again_s = self._clocks.boot_s() + REFUSED_BACKOFF.after(tries)
        self._refusals[row.id] = _Refusal(row, ack.reason, tries, again_s)
        return []

    def _end_of_patience(self) -> list[DeliveryOutcome]:
        """End refused rows past their deadline."""
        flying = {in_flight.row.id for in_flight in self._in_flight.values()}
        ended = [
            DeliveryOutcome(refusal.row, False, f"the broker refused it: {refusal.reason}")
            for refusal in self._refusals.values()
            if refusal.row.id not in flying and self._late(refusal.row)
        ]
        for outcome in ended:
            self.forget_row(outcome.row.id)
        self._give_up_on_the_connection()
        return ended

    def _give_up_on_the_connection(self) -> None:
        """Cut the connection when acknowledgements are overdue, so that nothing arrives late."""
        if self._up is None:
            return
        now = self._clocks.boot_s()
        hanging = [
            in_flight.row for in_flight in self._in_flight.values() if now - in_flight.sent_s > ABORT_S
        ]
        if any(self._late(row) for row in hanging):
            self._link.abort(
                self._up.generation, "the broker did not acknowledge an event before its deadline"
            )
        elif any(now - in_flight.sent_s > ACK_LIMIT_S for in_flight in self._in_flight.values()):
            self._link.abort(
                self._up.generation, f"the broker did not acknowledge an event for {ACK_LIMIT_S:g} s"
            )

    def _late(self, row: Row) -> bool:
        return self._clocks.left_s(row.deadline) <= 0

    def _broker_hangs(self, now: float) -> bool:
        return any(now - in_flight.sent_s > ACK_PATIENCE_S for in_flight in self._in_flight.values())

    def _broke(self, down: LinkDown) -> list[DeliveryOutcome]:
        """Count a strike against a row that was alone in flight: it may be what breaks connections."""
        now = self._clocks.boot_s()
        self._suspects |= {in_flight.row.id for in_flight in self._in_flight.values()}
        convicted = []
        for in_flight in self._in_flight.values():
            if in_flight.alone and now - in_flight.sent_s < STRIKE_S:
                row = in_flight.row
                strikes = self._strikes[row.id] = self._strikes.get(row.id, 0) + 1
                if strikes >= STRIKES:
                    reason = f"the connection broke {strikes} times when it was sent alone ({down.reason})"
                    convicted.append(DeliveryOutcome(row, False, reason))
        self._up = None
        self._all_wait_again()
        for outcome in convicted:
            self.forget_row(outcome.row.id)
        return convicted

    def _all_wait_again(self) -> None:
        self._maybe |= {in_flight.row.id for in_flight in self._in_flight.values()}
        self._in_flight.clear()
        self._sent_to = 0
        for refusal in self._refusals.values():
            refusal.again_s = float("inf")  # its turn comes with the others
