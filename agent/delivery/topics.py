"""MQTT topics and payloads. Pure; a stable interface for subscribers.

Base is `<base>/<agent id>/`. `event` (of a camera and of the rules) and `action` are never retained: a
retained one would trigger again at every subscription.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agent.core.feedback import Feedback
from agent.core.timestamps import rfc3339
from agent.core.types import GestureEnded, GestureEvent, GestureHeld, GestureStarted

REQUESTS = ("reload", "health", "test_rule", "restart")
NO_GESTURE_NOW = "none"

_PHASES = {GestureStarted: "started", GestureHeld: "held", GestureEnded: "ended"}


@dataclass(frozen=True, slots=True)
class Topics:
    """MQTT topics of one agent."""

    base: str
    agent: str

    def _of(self, tail: str) -> str:
        return f"{self.base}/{self.agent}/{tail}"

    @property
    def bridge_state(self) -> str:
        """Topic of the online state, which is also the last will."""
        return self._of("bridge/state")

    @property
    def bridge_info(self) -> str:
        """Topic of build and host information."""
        return self._of("bridge/info")

    @property
    def bridge_health(self) -> str:
        """Topic of the health report, published every minute."""
        return self._of("bridge/health")

    @property
    def bridge_claim(self) -> str:
        """Topic on which agents with one id negotiate who keeps it."""
        return self._of("bridge/claim")

    @property
    def enabled_set(self) -> str:
        """Topic that takes `ON` or `OFF`."""
        return self._of("enabled/set")

    @property
    def enabled_state(self) -> str:
        """Topic with the present state, `ON` or `OFF`."""
        return self._of("enabled/state")

    def request(self, name: str) -> str:
        """Topic of a request; `+` for all of them."""
        return self._of(f"bridge/request/{name}")

    def response(self, name: str) -> str:
        """Topic of the response to a request."""
        return self._of(f"bridge/response/{name}")

    def camera_state(self, camera: str) -> str:
        """Topic of a camera's state: online, offline or disabled, and why."""
        return self._of(f"camera/{camera}/state")

    def event(self, camera: str) -> str:
        """Topic of a camera's gesture events: starts, holds and ends, with all fields."""
        return self._of(f"camera/{camera}/event")

    def action(self, camera: str) -> str:
        """Topic with the bare name of a gesture that started."""
        return self._of(f"camera/{camera}/action")

    def gesture(self, camera: str) -> str:
        """Topic with the current gesture, for dashboards."""
        return self._of(f"camera/{camera}/gesture")

    @property
    def rule_event(self) -> str:
        """Topic of rule events."""
        return self._of("rule/event")

    def occupancy(self, camera: str) -> str:
        """Topic of whether somebody is in view."""
        return self._of(f"camera/{camera}/occupancy")

    def armed(self, camera: str) -> str:
        """Topic of the wake state."""
        return self._of(f"camera/{camera}/armed")

    def feedback(self, camera: str) -> str:
        """`awake`, `fired` or `refused`, for speakers and lights."""
        return self._of(f"camera/{camera}/feedback")


def phase(event: GestureEvent) -> str:
    """Phase of an event as published: `started`, `held` or `ended`."""
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
    """Build the payload of `camera/<camera>/event`, which `replay --json` prints too, with `at_s`.

    `ts` is wall-clock time of the frame in RFC 3339, `latency_ms` from that frame to now, `at_s`
    seconds from the start of the clip. `expires_at` is the deadline: a subscriber that gets it
    later drops it. `zone` and `rule` are null where there is none.
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
    """Build the payload of the current gesture (None: none) and since when; `last` started last."""
    return {"gesture": gesture or NO_GESTURE_NOW, "since": rfc3339(since_wall_s), "last": last}


def camera_state_payload(value: str, reason: str | None) -> dict[str, Any]:
    """Build the payload of a camera's state; `value` is online, offline or disabled, `reason` says why."""
    return {"state": value, "reason": reason}


def rule_payload(rule: str, *, event_id: str, ts: str) -> dict[str, Any]:
    """Build the payload of a rule event; `ts` is the time of its gesture, RFC 3339."""
    return {"event_type": rule, "event_id": event_id, "ts": ts}


def occupancy_payload(occupied: bool | None, since_wall_s: float) -> dict[str, Any]:
    """Build the payload of occupancy and since when; null while the camera does not look."""
    return {"occupied": occupied, "since": rfc3339(since_wall_s)}


def armed_payload(armed: bool, until_wall_s: float | None) -> dict[str, Any]:
    """Build the payload of the wake state, and until when (null: indefinitely)."""
    return {"armed": armed, "until": None if until_wall_s is None else rfc3339(until_wall_s)}


def feedback_payload(feedback: Feedback, *, ts: str) -> dict[str, Any]:
    """The rules woke, a rule fired, or a gesture was refused; null for a rule or gesture without name."""
    return {
        "feedback": feedback.kind,
        "rule": feedback.rule or None,
        "gesture": feedback.gesture or None,
        "ts": ts,
    }
