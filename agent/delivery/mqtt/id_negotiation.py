"""Negotiation of the agent id on a new connection, and whenever another agent asks for it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

import structlog

from agent.delivery.message import Message
from agent.delivery.mqtt import broker_errors
from agent.delivery.mqtt.id_lease import ANSWER_S, IdLease, LeaseHolder, LeaseMessage, parse_lease

REPEAT_S = 1.0  # a rival that was told to leave needs milliseconds

PublishFunction: TypeAlias = Callable[[Message], object]

log = structlog.get_logger(__name__)


class IdNegotiation:
    """Id negotiation on one connection.

    `received` and `received_online` run in callbacks; the rest between two of them.
    """

    def __init__(self, leases: LeaseHolder | None) -> None:
        self.yielded: IdLease | None = None  # who gets the id
        self.disconnecting = False  # we disconnect: no more negotiation
        self._leases = leases
        self._said: deque[LeaseMessage] = deque(maxlen=100)
        self._asked_at: float | None = None
        self._ask_came_back = False
        self._somebody_online = False  # says the broker, before we said anything
        self._repeat_at: float | None = None  # when to repeat states that a rival may have overwritten

    def received(self, payload: bytes, retained: bool) -> None:
        """Process a message on `bridge/claim`."""
        if not retained and (said := parse_lease(payload)) is not None:
            self._said.append(said)

    def received_online(self) -> None:
        """Process a retained "online" under our id."""
        self._somebody_online = True

    def begin(self, publish: PublishFunction) -> None:
        """Ask who holds the id, after the subscriptions."""
        self._asked_at = time.monotonic()
        if self._leases is not None:
            publish(self._leases.ask())

    @property
    def begun(self) -> bool:
        """Whether the question was sent."""
        return self._asked_at is not None

    @property
    def done(self) -> bool:
        """Whether the id is ours, so that we may publish under it."""
        leases = self._leases
        if leases is None or not leases.newcomer:
            return True
        nobody = self._ask_came_back and not self._somebody_online
        return nobody or (self._asked_at is not None and time.monotonic() > self._asked_at + ANSWER_S)

    def settle(self, publish: PublishFunction) -> None:
        """Answer questions and process answers; `yielded` then says whether to disconnect."""
        leases = self._leases
        while leases is not None and self._said and self.yielded is None:
            said, mine = self._said.popleft(), leases.mine
            theirs = said.lease
            if theirs.instance == mine.instance:
                self._ask_came_back = True
            elif said.to is None:
                keeps = mine.beats(theirs)
                if leases.may_answer():
                    publish(leases.answer(theirs, keeps=keeps))
                self._settled(leases, theirs, keeps=keeps)
            elif said.to == mine.instance:
                self._settled(leases, theirs, keeps=not said.keeps)

    def wants_republish(self) -> bool:
        """True once after an id conflict: states that the other agent overwrote need publishing again."""
        due = self._repeat_at is not None and time.monotonic() > self._repeat_at
        if due:
            self._repeat_at = None
        return due

    def _settled(self, leases: LeaseHolder, theirs: IdLease, *, keeps: bool) -> None:
        if self.disconnecting:
            return
        if not keeps:
            self.yielded = theirs
            return
        if leases.note(theirs):
            log.warning("agent_id_contested", id=leases.agent, by_host=theirs.host, fix=broker_errors.OWN_ID)
        self._repeat_at = time.monotonic() + REPEAT_S
