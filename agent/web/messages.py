"""JSON messages of the WebSocket streams; docs/reference/websocket.md is the reference.

Times are milliseconds since 1970 by this machine's clock, positions are fractions of the frame.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.core.debounce import HandProgress
from agent.core.numbers import write_json
from agent.core.types import GestureEvent, GestureStarted, Place

PROTOCOL = 1  # of the messages; bump on incompatible changes


@dataclass(frozen=True, slots=True)
class WebMessage:
    """One serialized message for many clients.

    Of queued messages with the same `slot` only the newest is sent.
    `page_only` messages are not sent to kiosks.
    """

    text: str
    slot: str | None = None
    page_only: bool = False


def as_text(document: Mapping[str, Any]) -> str:
    """Serialize as JSON on one line; NaN and infinity, which no browser can read, become null."""
    try:
        return write_json(document)
    except ValueError:
        return write_json(_finite(document))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def message(
    kind: str, fields: Mapping[str, Any], *, slot: str | None = None, page: bool = False
) -> WebMessage:
    """Build `{"type": kind, ...}`."""
    return WebMessage(as_text({"type": kind, **fields}), slot, page)


def hand(told: HandProgress) -> dict[str, Any]:
    """Build the entry of one hand in a `progress` message."""
    return {
        "id": f"{told.camera}/{told.person}/{told.hand}" if told.track is None else str(told.track),
        "person": told.person,
        "hand": told.hand,
        **_where(told.place),
        "seen": told.seen,
        "phase": told.phase,
        "gesture": told.gesture,
        "confidence": round(told.score, 3),
        "ring": round(told.ring, 3),
        "held_ms": round(told.held_s * 1000),
        "on": told.on,
        "held_back": told.held_back or None,
    }


def gesture(event: GestureEvent, *, ts_ms: float, latency_ms: float) -> WebMessage:
    """Build a `fired` message when a gesture starts, `ended` when it is over."""
    kind = "fired" if isinstance(event, GestureStarted) else "ended"
    return message(
        kind,
        {
            "camera": event.camera,
            "ts_ms": ts_ms,
            "latency_ms": latency_ms,
            "person": event.person,
            "hand": event.hand,
            "gesture": event.gesture,
            "confidence": round(event.score, 3),
            "held_ms": round(event.held_s * 1000),
            **_where(event.place),
        },
    )


def _where(place: Place | None) -> dict[str, float | None]:
    if place is None:
        return {"x": None, "y": None, "height": None}
    shares = {"x": place.x_share, "y": place.y_share, "height": place.height_share}
    return {name: round(share, 4) for name, share in shares.items()}
