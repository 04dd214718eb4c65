"""Two agents with one id on one broker: exactly one of them keeps it.

Whoever comes asks on `bridge/claim` before it says a word under the id; whoever has the id answers. The one
that has had it longer keeps it, so a new machine with the wrong id disturbs nobody; it stands aside, says
so, and takes the id once it is free. An agent that was cut off and finds its place taken asks as well.

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

ANSWER_S = 1.5  # a living agent answers within milliseconds; then a retained "online" is a ghost's
EQUAL_S = 1.0  # two that came within this time came together: the lower instance keeps the id
RETRY_S = 30.0  # between two questions of one that stands aside whether the id is free by now
ANSWERS, ANSWER_EVERY_S = 20, 0.1  # to questions: at once, and seconds between two in a flood
NEWS, NEWS_EVERY_S = 3, 10.0  # of rivals that are told: at once, and seconds between two in a flood
RIVAL_S = 120.0  # who has not asked for so long has found its own id, or is off
MAX_BYTES, MAX_HELD_S = 1000, 1e9
_MACHINE = (Path("/etc/machine-id"), Path("/proc/sys/kernel/hostname"))
_NETWORK = Path("/sys/class/net")


@dataclass(frozen=True, slots=True)
class IdLease:
    """One agent's right to its id; `held_s` is how long it has had it, 0 for one that has just come."""

    instance: str  # random, of this process
    host: str
    held_s: float

    def beats(self, other: IdLease) -> bool:
        """Who keeps the id; the same for whoever asks. One that has it beats all that have just come."""
        if not self.held_s or not other.held_s:
            return (self.held_s, other.instance) > (other.held_s, self.instance)
        apart = self.held_s - other.held_s
        return apart > 0 if abs(apart) > EQUAL_S else self.instance < other.instance


@dataclass(frozen=True, slots=True)
class LeaseMessage:
    """What was heard on `bridge/claim`: a question to all, or an answer to one instance."""

    lease: IdLease
    to: str | None = None
    keeps: bool = False


@dataclass(frozen=True, slots=True)
class IdConflict:
    """Another agent that wants our id. `seen_at` is monotonic."""

    host: str
    instance: str
    seen_at: float


def heard(payload: bytes) -> LeaseMessage | None:
    """None for what is no claim; anybody may send anything."""
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
    """Of a host's name from outside: what a terminal and a log can bear."""
    return "".join(c for c in text if c.isprintable())[:64]


class LeaseHolder:
    """Our own claim over all connections of this process, and who contests it. Used by the MQTT thread."""

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
        """As it stands now."""
        held_s = 0.0 if self._held_since is None else max(0.001, self._clock() - self._held_since)
        return IdLease(self._instance, self._host, held_s)

    @property
    def newcomer(self) -> bool:
        """Whether to ask and wait for an answer before saying anything."""
        return self._held_since is None

    @property
    def conflict(self) -> IdConflict | None:
        """Who asked for our id lately."""
        conflict = self._rival
        return conflict if conflict and self._clock() - conflict.seen_at < RIVAL_S else None

    def took(self) -> None:
        """The id is ours."""
        if self._held_since is None:
            self._held_since = self._clock()

    def gave_up(self) -> None:
        """Another one has it."""
        self._held_since = self._rival = None

    def note(self, lease: IdLease) -> bool:
        """Somebody else wants it; True when this is news."""
        before = self.conflict
        self._rival = IdConflict(lease.host, lease.instance, self._clock())
        news = (before is None or before.instance != lease.instance) and self._news.take(self._clock())
        if news:
            self._contested()
        return news

    def may_answer(self) -> bool:
        """False while somebody floods us with questions."""
        return self._answers.take(self._clock())

    def ask(self) -> Message:
        """Asks who is there."""
        return Message(self.topic, as_json(_fields(self.mine)), qos=1, content_type=JSON)

    def answer(self, to: IdLease, *, keeps: bool) -> Message:
        """Says that we are, and whether we keep it."""
        body = {**_fields(self.mine), "to": to.instance, "keeps": keeps}
        return Message(self.topic, as_json(body), qos=1, content_type=JSON)


def _fields(lease: IdLease) -> dict[str, object]:
    return {"instance": lease.instance, "host": lease.host, "held_s": round(lease.held_s, 3)}


def client_id(agent: str, folder: Path) -> str:
    """One for each agent on each machine, the same at every start.

    Two agents with one id on two machines, even clones of one disk, do not throw each other off the broker.
    """
    parts = [str(folder.absolute())]
    cards = [card / "address" for card in _NETWORK.glob("*") if (card / "device").exists()]
    for file in (*_MACHINE, *sorted(cards)):
        try:
            parts.append(file.read_text(encoding="ascii").strip())
        except (OSError, UnicodeDecodeError):
            continue
    return f"gesture-agent-{agent}-{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:6]}"
