"""MQTT messages: payload, topic and properties."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message to publish.

    `expiry_s` is its remaining lifetime in seconds, `expires_at` its deadline (RFC 3339). These two,
    `content_type` and `event_id` become MQTT 5 properties and are omitted on MQTT 3.1.1.
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
    """Encode as compact UTF-8 JSON. Raises `ValueError` for NaN and infinity, which JSON does not know.

    An unpaired surrogate, which JSON from outside may hold and UTF-8 cannot, stays escaped.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace")


def state(topic: str, value: Mapping[str, Any] | str, qos: int = 1) -> Message:
    """Build a retained message with the current value of a state."""
    if isinstance(value, str):
        return Message(topic, value.encode(), qos, retain=True)
    return Message(topic, as_json(value), qos, retain=True, content_type=JSON)
