"""State of the agents on a broker, built from their retained messages. Pure.

Any client may have written the messages, so every value is checked for type and shape, and control
characters are removed from text before it reaches a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.core.numbers import read_json
from agent.core.timestamps import wall_seconds

SILENT_S = 180.0  # health comes once a minute: silent after three missed reports
MOST_AGENTS = 10_000
MOST_BYTES = 100_000  # maximum payload
TEXT = 200  # maximum characters of a text


@dataclass(slots=True)
class CameraSeen:
    """State of one camera of an agent."""

    state: str = "unknown"
    reason: str = ""
    gesture: str = "none"
    since: str | None = None  # RFC 3339
    last: str | None = None  # current gesture, and since when


@dataclass(frozen=True, slots=True)
class EventSeen:
    """A gesture event received while listening; events are never retained."""

    ts: str
    camera: str
    gesture: str
    phase: str


@dataclass(slots=True)
class AgentSeen:
    """State of one agent; an empty mapping or None for what it has not published."""

    id: str
    state: str = "unknown"
    info: Mapping[str, Any] = field(default_factory=dict)
    health: Mapping[str, Any] = field(default_factory=dict)
    enabled: bool | None = None
    cameras: dict[str, CameraSeen] = field(default_factory=dict)
    event: EventSeen | None = None

    def fact(self, *path: str) -> Any:
        """Value at this path in the agent's health report; None where it is missing."""
        value: Any = self.health
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def number(self, *path: str) -> float | None:
        """Value at this path in the health report if it is a number, else None."""
        value = self.fact(*path)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def last(self) -> tuple[str, str, str] | None:
        """Gesture, camera and time (RFC 3339) of the last gesture of all cameras."""
        told = [(c.since, c.last, name) for name, c in self.cameras.items() if c.since and c.last]
        if self.event is not None:
            told.append((self.event.ts, self.event.gesture, self.event.camera))
        if not told:
            return None
        since, gesture, camera = max(told)
        return str(gesture), camera, str(since)

    def troubles(self, now_s: float) -> Iterator[str]:
        """Problems of the agent in words, the most severe first; `now_s` is wall-clock time."""
        if self.state != "online":
            yield "offline" if self.state == "offline" else "has published no state"
            return
        if rival := self.fact("mqtt", "rival"):
            yield f'its id is also wanted by the agent on host "{text(rival)}"'
        told = when(self.fact("ts"))
        if told is not None and now_s - told > SILENT_S:
            yield f"silent for {span(now_s - told)}"
        if self.fact("recognition", "state") == "away":
            yield f"recognises nothing: {text(self.fact('recognition', 'reason'))}"
        if refused := self.fact("rules", "refused"):
            yield f"its rule files are refused, the previous rules stay in force: {text(refused)}"
        left_out = self.fact("mqtt", "left_out")
        if isinstance(left_out, Mapping) and left_out:
            topic, reason = next(iter(left_out.items()))
            count = text(self.fact("mqtt", "left_out_count"))
            yield f"{count} topics are left out: {text(topic)}: {text(reason)}"
        if trouble := self.fact("outbox", "trouble"):
            yield f"outbox: {text(trouble)}"
        for name, camera in sorted(self.cameras.items()):
            if camera.state == "offline":
                yield f"camera {name} is offline" + (f": {camera.reason}" if camera.reason else "")


class Fleet:
    """Agents by id, built from messages; `take` returns whether a message changed anything."""

    def __init__(self, base: str) -> None:
        self._start = f"{base}/"
        self._agents: dict[str, AgentSeen] = {}
        self.topics: set[str] = set()  # retained topics, which identify an agent

    @property
    def agents(self) -> list[AgentSeen]:
        """All agents that published something, by id."""
        return [self._agents[name] for name in sorted(self._agents)]

    @staticmethod
    def subscriptions(base: str) -> tuple[str, ...]:
        """Topic filters to subscribe to."""
        tails = ("bridge/state", "bridge/info", "bridge/health", "enabled/state")
        cameras = ("camera/+/state", "camera/+/gesture", "camera/+/event")
        return tuple(f"{base}/+/{tail}" for tail in (*tails, *cameras))

    def take(self, topic: str, payload: bytes) -> bool:
        """Process one message of any content; return whether it changed anything."""
        name, _, tail = topic.removeprefix(self._start).partition("/")
        if not topic.startswith(self._start) or not name or len(payload) > MOST_BYTES:
            return False
        agent = self._agents.get(name)
        if agent is None:
            if len(self._agents) >= MOST_AGENTS or not payload:
                return False
            agent = self._agents[name] = AgentSeen(text(name))
        self._update(agent, tail, payload)
        return True

    def _update(self, agent: AgentSeen, tail: str, payload: bytes) -> None:
        told = _object(payload)
        parts = tail.split("/")
        if tail == "bridge/state":
            agent.state = text(told.get("state", "unknown"))
        elif tail == "bridge/info":
            agent.info = told
        elif tail == "bridge/health":
            agent.health = told
        elif tail == "enabled/state":
            agent.enabled = {b"ON": True, b"OFF": False}.get(payload)
        elif len(parts) == 3 and parts[0] == "camera":
            self._update_camera(agent, text(parts[1]), parts[2], told)

    @staticmethod
    def _update_camera(agent: AgentSeen, name: str, what: str, told: Mapping[str, Any]) -> None:
        if what == "event":
            agent.event = EventSeen(
                text(told.get("ts")), name, text(told.get("event_type")), text(told.get("phase"))
            )
            return
        camera = agent.cameras.setdefault(name, CameraSeen())
        if what == "state":
            camera.state, camera.reason = text(told.get("state", "unknown")), text(told.get("reason") or "")
        elif what == "gesture":
            camera.gesture = text(told.get("gesture", "none"))
            camera.since = text(told["since"]) if when(told.get("since")) else None
            camera.last = text(told["last"]) if told.get("last") else None


def text(value: Any) -> str:
    """Convert a value to text that is safe for a terminal."""
    return "".join(c if c.isprintable() else " " for c in str(value)[:TEXT])


def when(value: Any) -> float | None:
    """Convert an RFC 3339 text to seconds since 1970; None for anything else."""
    try:
        return wall_seconds(str(value))
    except (ValueError, OverflowError):
        return None


def span(seconds: float) -> str:
    """Format a duration in one unit that fits: 12 s, 5 min, 3 h, 9 d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _object(payload: bytes) -> Mapping[str, Any]:
    try:
        told = read_json(payload)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
