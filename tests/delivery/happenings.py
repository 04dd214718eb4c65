"""Gestures to tell of."""

from __future__ import annotations

from agent.core.types import GestureEnded, GestureStarted


def started(gesture: str = "stop", *, camera: str = "front", at: float = 0.0) -> GestureStarted:
    return GestureStarted(at, camera, 0, "right", gesture, 0.9312, 0.32)


def ended(gesture: str = "stop", *, camera: str = "front", at: float = 0.0) -> GestureEnded:
    return GestureEnded(at, camera, 0, "right", gesture, 0.4, 1.5)
