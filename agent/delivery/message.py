"""One MQTT message, and the names of the topics that it can go to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be published.

    `expiry_s` is how long it is still worth something, `expires_at` until when (RFC 3339). These two,
    `content_type` and `event_id` travel as MQTT 5 properties and are silently left out on MQTT 3.1.1.
    """

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    content_type: str = ""
    event_id: str = ""
    expiry_s: float | None = None
    expires_at: str = ""


def as_json(value: Mapping[str, Any]) -> bytes:
    """Compact UTF-8 JSON; NaN and infinity are errors (`ValueError`), no JSON reader knows them.

    Half a surrogate pair, which JSON from outside may hold and UTF-8 cannot, stays the escape it was.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace")


def state(topic: str, value: Mapping[str, Any] | str, qos: int = 1) -> Message:
    """A retained message: what is so until something else is."""
    if isinstance(value, str):
        return Message(topic, value.encode(), qos, retain=True)
    return Message(topic, as_json(value), qos, retain=True, content_type=JSON)
