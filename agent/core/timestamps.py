"""Moments as text: RFC 3339 in UTC."""

from __future__ import annotations

from datetime import datetime, timezone

LAST_WALL_S = 253402300799.0  # the last second of the year 9999, the last that has a text


def rfc3339(wall_s: float) -> str:
    """Seconds since 1970 as UTC with milliseconds: `2026-11-22T20:15:30.123Z`."""
    moment = datetime.fromtimestamp(min(max(wall_s, 0.0), LAST_WALL_S), timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def wall_seconds(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 text. Raises `ValueError` or `OverflowError` where it is none."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
