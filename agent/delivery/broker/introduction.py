"""Who else has our id: asked before we say a word under it, and settled whenever somebody asks."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

import structlog

from agent.delivery.broker import reasons
from agent.delivery.broker.claim import ANSWER_S, Claim, Claims, Said, heard
from agent.delivery.message import Message

REPEAT_S = 1.0  # after a rival was told to leave, which takes it milliseconds

Say: TypeAlias = Callable[[Message], object]

log = structlog.get_logger(__name__)


class Introduction:
    """On one connection. `hear` and `heard_online` run in callbacks; the rest between two of them."""

    def __init__(self, claims: Claims | None) -> None:
        self.yielded: Claim | None = None  # to whom we leave the id
        self.leaving = False  # we say goodbye: nothing is settled any more
        self._claims = claims
        self._said: deque[Said] = deque(maxlen=100)
        self._asked_at: float | None = None
        self._ask_came_back = False
        self._somebody_online = False  # says the broker, before we said anything
        self._repeat_at: float | None = None  # when to say again what a rival may have said over

    def hear(self, payload: bytes, retained: bool) -> None:
        """Something on `bridge/claim`."""
        if not retained and (said := heard(payload)) is not None:
            self._said.append(said)

    def heard_online(self) -> None:
        """The broker keeps an "online" under our id."""
        self._somebody_online = True

    def begin(self, say: Say) -> None:
        """Ask who is there, once the subscriptions are on their way."""
        self._asked_at = time.monotonic()
        if self._claims is not None:
            say(self._claims.ask())

    @property
    def begun(self) -> bool:
        """Whether it was asked."""
        return self._asked_at is not None

    @property
    def done(self) -> bool:
        """Whether we may speak under the id."""
        claims = self._claims
        if claims is None or not claims.newcomer:
            return True
        nobody = self._ask_came_back and not self._somebody_online
        return nobody or (self._asked_at is not None and time.monotonic() > self._asked_at + ANSWER_S)

    def settle(self, say: Say) -> None:
        """Answer questions and take note of answers; `yielded` then says whether to leave."""
        claims = self._claims
        while claims is not None and self._said and self.yielded is None:
            said, mine = self._said.popleft(), claims.mine
            theirs = said.claim
            if theirs.instance == mine.instance:
                self._ask_came_back = True
            elif said.to is None:
                keeps = mine.beats(theirs)
                if claims.may_answer():
                    say(claims.answer(theirs, keeps=keeps))
                self._settled(claims, theirs, keeps=keeps)
            elif said.to == mine.instance:
                self._settled(claims, theirs, keeps=not said.keeps)

    def wants_repeat(self) -> bool:
        """True once after a rival has left: what it said under our id is to be said over."""
        due = self._repeat_at is not None and time.monotonic() > self._repeat_at
        if due:
            self._repeat_at = None
        return due

    def _settled(self, claims: Claims, theirs: Claim, *, keeps: bool) -> None:
        if self.leaving:
            return
        if not keeps:
            self.yielded = theirs
            return
        if claims.note(theirs):
            log.warning("agent_id_contested", id=claims.agent, by_host=theirs.host, fix=reasons.OWN_ID)
        self._repeat_at = time.monotonic() + REPEAT_S
