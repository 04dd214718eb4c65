"""What the streams say, as JSON: docs/kiosk.md is the reference.

Times are milliseconds since 1970 by this machine's clock, places are shares of the picture.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.core.debounce import HandProgress
from agent.core.types import GestureEvent, GestureStarted, Place

PROTOCOL = 1  # of the messages; another number means that a page of before will not understand


@dataclass(frozen=True, slots=True)
class WebMessage:
    """One text for many clients.

    Of those with the same `slot` only the newest matters: it takes the place of one that still waits.
    `page_only` ones are not for kiosks.
    """

    text: str
    slot: str | None = None
    page_only: bool = False


def as_text(document: Mapping[str, Any]) -> str:
    """JSON on one line."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def message(
    kind: str, fields: Mapping[str, Any], *, slot: str | None = None, page: bool = False
) -> WebMessage:
    """`{"type": kind, ...}`."""
    return WebMessage(as_text({"type": kind, **fields}), slot, page)


def hand(told: HandProgress) -> dict[str, Any]:
    """One hand of a `progress` message."""
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
    """`fired` when it starts, `ended` when it is over."""
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
