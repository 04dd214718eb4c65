"""Lease of the agent id: of two agents with one id on a broker, exactly one keeps it.

An agent asks on `bridge/claim` before it publishes anything under the id; the holder answers. The one
that has held it longer keeps it, so a new machine with a duplicate id disturbs nobody: it stands by,
logs the conflict, and takes the id once it is free. An agent that reconnects asks as well.

asks      {"instance": "3f…", "host": "pi-2", "held_s": 0.0}
answers   {"instance": "9a…", "host": "pi-1", "held_s": 3600.0, "to": "3f…", "keeps": true}
"""

from __future__ import annotations

import hashlib
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.core.numbers import read_float, read_json
from agent.core.pace import Pace
from agent.delivery.message import JSON, Message, as_json

ANSWER_S = 1.5  # a live agent answers within milliseconds; after this a retained "online" is stale
EQUAL_S = 1.0  # claims this close count as simultaneous: the lower instance keeps the id
RETRY_S = 30.0  # between two requests for the id while standing by
ANSWERS, ANSWER_EVERY_S = 20, 0.1  # answers to questions: burst, and seconds between two in a flood
NEWS, NEWS_EVERY_S = 3, 10.0  # logged conflicts: burst, and seconds between two in a flood
RIVAL_S = 120.0  # a rival silent for this long has changed its id or is off
MAX_BYTES, MAX_HELD_S = 1000, 1e9
_MACHINE = (Path("/etc/machine-id"), Path("/proc/sys/kernel/hostname"))
_NETWORK = Path("/sys/class/net")


@dataclass(frozen=True, slots=True)
class IdLease:
    """Claim of one agent to the id; `held_s` is how long it has held it, 0 for a newcomer."""

    instance: str  # random, of this process
    host: str
    held_s: float

    def beats(self, other: IdLease) -> bool:
        """Return whether this claim wins; symmetric for both sides. A holder beats all newcomers."""
        if not self.held_s or not other.held_s:
            return (self.held_s, other.instance) > (other.held_s, self.instance)
        apart = self.held_s - other.held_s
        return apart > 0 if abs(apart) > EQUAL_S else self.instance < other.instance


@dataclass(frozen=True, slots=True)
class LeaseMessage:
    """Message on `bridge/claim`: a question to all, or an answer to one instance."""

    lease: IdLease
    to: str | None = None
    keeps: bool = False


@dataclass(frozen=True, slots=True)
class IdConflict:
    """Another agent that wants our id. `seen_at` is monotonic."""

    host: str
    instance: str
    seen_at: float


def parse_lease(payload: bytes) -> LeaseMessage | None:
    """Parse a message on `bridge/claim`; None if it is malformed."""
    if len(payload) > MAX_BYTES:
        return None
    try:
        data = read_json(payload)
        lease = IdLease(str(data["instance"])[:64], _plain(str(data["host"])), read_float(data["held_s"]))
        if not 0 <= lease.held_s < MAX_HELD_S:
            return None
        to = None if data.get("to") is None else str(data["to"])
        return LeaseMessage(lease, to, data.get("keeps") is True)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _plain(text: str) -> str:
    """Host name from outside, safe for terminals and logs."""
    return "".join(c for c in text if c.isprintable())[:64]


class LeaseHolder:
    """Our own lease over all connections of this process, and its conflicts. Used by the MQTT thread."""

    def __init__(
        self,
        agent: str,
        topic: str,
        *,
        contested: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.agent, self.topic = agent, topic
        self.retry_s = RETRY_S
        self._contested, self._clock = contested, clock
        self._instance, self._host = uuid.uuid4().hex[:12], socket.gethostname()
        self._held_since: float | None = None
        self._rival: IdConflict | None = None
        self._answers, self._news = Pace(ANSWERS, ANSWER_EVERY_S), Pace(NEWS, NEWS_EVERY_S)

    @property
    def mine(self) -> IdLease:
        """Our claim at this moment."""
        held_s = 0.0 if self._held_since is None else max(0.001, self._clock() - self._held_since)
        return IdLease(self._instance, self._host, held_s)

    @property
    def newcomer(self) -> bool:
        """True until the id was held once: ask and wait for an answer before publishing."""
        return self._held_since is None

    @property
    def conflict(self) -> IdConflict | None:
        """The latest recent conflict, None if there is none."""
        conflict = self._rival
        return conflict if conflict and self._clock() - conflict.seen_at < RIVAL_S else None

    def acquired(self) -> None:
        """Note that we hold the id now."""
        if self._held_since is None:
            self._held_since = self._clock()

    def released(self) -> None:
        """Note that another agent holds the id."""
        self._held_since = self._rival = None

    def note(self, lease: IdLease) -> bool:
        """Note a conflict; True when it has to be logged."""
        before = self.conflict
        self._rival = IdConflict(lease.host, lease.instance, self._clock())
        news = (before is None or before.instance != lease.instance) and self._news.take(self._clock())
        if news:
            self._contested()
        return news

    def may_answer(self) -> bool:
        """Return False while the rate limit for answers is reached."""
        return self._answers.take(self._clock())

    def ask(self) -> Message:
        """Message that asks who holds the id."""
        return Message(self.topic, as_json(_fields(self.mine)), qos=1, content_type=JSON)

    def answer(self, to: IdLease, *, keeps: bool) -> Message:
        """Message that answers a question and says whether we keep the id."""
        body = {**_fields(self.mine), "to": to.instance, "keeps": keeps}
        return Message(self.topic, as_json(body), qos=1, content_type=JSON)


def _fields(lease: IdLease) -> dict[str, object]:
    return {"instance": lease.instance, "host": lease.host, "held_s": round(lease.held_s, 3)}


def client_id(agent: str, folder: Path) -> str:
    """Return the MQTT client id: one for each agent on each machine, stable over restarts.

    Two agents with one id on two machines, even clones of one disk, do not disconnect each other.
    """
    parts = [str(folder.absolute())]
    cards = [card / "address" for card in _NETWORK.glob("*") if (card / "device").exists()]
    for file in (*_MACHINE, *sorted(cards)):
        try:
            parts.append(file.read_text(encoding="ascii").strip())
        except (OSError, UnicodeDecodeError):
            continue
    return f"gesture-agent-{agent}-{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:6]}"
