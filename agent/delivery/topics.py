"""Names of the topics and what stands in the payloads. Pure; the promise to everyone who subscribes.

Base is `<base>/<agent id>/`. `event` (of a camera and of the rules) and `action` are never retained: a
retained one would fire again at every subscribe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agent.core.feedback import Feedback
from agent.core.types import GestureEnded, GestureEvent, GestureHeld, GestureStarted
from agent.delivery.clocks import rfc3339

REQUESTS = ("reload", "health", "test_rule", "restart")
NO_GESTURE_NOW = "none"

_PHASES = {GestureStarted: "started", GestureHeld: "held", GestureEnded: "ended"}


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one agent."""

    base: str
    agent: str

    def _of(self, tail: str) -> str:
        return f"{self.base}/{self.agent}/{tail}"

    @property
    def bridge_state(self) -> str:
        """Online or offline; the last will."""
        return self._of("bridge/state")

    @property
    def bridge_info(self) -> str:
        """What this agent is made of."""
        return self._of("bridge/info")

    @property
    def bridge_health(self) -> str:
        """How it fares, every minute."""
        return self._of("bridge/health")

    @property
    def bridge_claim(self) -> str:
        """Where two agents with this id settle who keeps it."""
        return self._of("bridge/claim")

    @property
    def enabled_set(self) -> str:
        """`ON` or `OFF` from outside."""
        return self._of("enabled/set")

    @property
    def enabled_state(self) -> str:
        """`ON` or `OFF`, as it is."""
        return self._of("enabled/state")

    def request(self, name: str) -> str:
        """Where a request comes in; `+` for all of them."""
        return self._of(f"bridge/request/{name}")

    def response(self, name: str) -> str:
        """Where its answer goes."""
        return self._of(f"bridge/response/{name}")

    def camera_state(self, camera: str) -> str:
        """Whether the camera is there, and if not why."""
        return self._of(f"camera/{camera}/state")

    def event(self, camera: str) -> str:
        """Starts, holds and ends with all that is known of them."""
        return self._of(f"camera/{camera}/event")

    def action(self, camera: str) -> str:
        """The bare name of a gesture that started."""
        return self._of(f"camera/{camera}/action")

    def gesture(self, camera: str) -> str:
        """The gesture that is being made now, for dashboards."""
        return self._of(f"camera/{camera}/gesture")

    @property
    def rule_event(self) -> str:
        """Which rule fired."""
        return self._of("rule/event")

    def occupancy(self, camera: str) -> str:
        """Whether somebody is in view."""
        return self._of(f"camera/{camera}/occupancy")

    def armed(self, camera: str) -> str:
        """The wake state."""
        return self._of(f"camera/{camera}/armed")

    def feedback(self, camera: str) -> str:
        """`awake`, `fired` or `refused`, for speakers and lights."""
        return self._of(f"camera/{camera}/feedback")


def phase(event: GestureEvent) -> str:
    """`started`, `held` or `ended`."""
    return _PHASES[type(event)]


def event_payload(
    event: GestureEvent,
    *,
    event_id: str,
    ts: str,
    zone: str | None = None,
    rule: str | None = None,
    latency_ms: float | None = None,
    expires_at: str | None = None,
    at_s: float | None = None,
) -> dict[str, Any]:
    """What goes to `camera/<camera>/event`, and what `replay --json` prints with `at_s`.

    `ts` is wall-clock time of the frame in RFC 3339, `latency_ms` from that frame to now, `at_s`
    seconds from the start of the clip. `expires_at` is when it is worth nothing any more: whoever hears
    it later drops it. `zone` and `rule` are null where there is none.
    """
    payload: dict[str, Any] = {
        "event_type": event.gesture,
        "event_id": event_id,
        "ts": ts,
        "phase": phase(event),
        "confidence": round(event.score, 3),
        "hand": event.hand,
        "person": event.person,
        "zone": zone,
        "held_ms": round(event.held_s * 1000),
        "rule": rule,
        "latency_ms": None if latency_ms is None else round(latency_ms, 1),
    }
    if expires_at is not None:
        payload["expires_at"] = expires_at
    return payload if at_s is None else {**payload, "at_s": round(at_s, 3)}


def gesture_payload(gesture: str | None, since_wall_s: float, last: str | None = None) -> dict[str, Any]:
    """The gesture that is being made now (None: none) and since when; `last` is the one that began last."""
    return {"gesture": gesture or NO_GESTURE_NOW, "since": rfc3339(since_wall_s), "last": last}


def camera_state_payload(value: str, reason: str | None) -> dict[str, Any]:
    """`value` is online, offline or disabled; `reason` says why it is not online."""
    return {"state": value, "reason": reason}


def rule_payload(rule: str, *, event_id: str, ts: str) -> dict[str, Any]:
    """A rule fired; `ts` is the time of its gesture, RFC 3339."""
    return {"event_type": rule, "event_id": event_id, "ts": ts}


def occupancy_payload(occupied: bool | None, since_wall_s: float) -> dict[str, Any]:
    """Whether somebody is in view, and since when it is so; null while the camera does not look."""
    return {"occupied": occupied, "since": rfc3339(since_wall_s)}


def armed_payload(armed: bool, until_wall_s: float | None) -> dict[str, Any]:
    """Whether the camera's rules are awake, and until when (null: for good)."""
    return {"armed": armed, "until": None if until_wall_s is None else rfc3339(until_wall_s)}


def feedback_payload(feedback: Feedback, *, ts: str) -> dict[str, Any]:
    """The rules woke, a rule fired, or a gesture was refused; null for a rule or gesture without name."""
    return {
        "feedback": feedback.kind,
        "rule": feedback.rule or None,
        "gesture": feedback.gesture or None,
        "ts": ts,
    }
