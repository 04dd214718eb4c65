"""Throttling of `held` events and the current gesture of each camera."""

from __future__ import annotations

from agent.core.types import GestureEnded, GestureEvent, GestureHeld, GestureStarted

HELD_EVERY_S = 1.0  # `held` is published once a second, not with every frame

_Hand = tuple[int, str]  # person and hand


class ActiveGestures:
    """Tracks, camera by camera, the gestures that have started and not ended."""

    def __init__(self) -> None:
        self._now: dict[str, dict[_Hand, tuple[str, float]]] = {}
        self._told: dict[tuple[str, _Hand], float] = {}

    def should_publish(self, event: GestureEvent) -> bool:
        """Return False for a `held` event less than a second after the last published event of that hand."""
        key = (event.camera, (event.person, event.hand))
        last = self._told.get(key)
        if isinstance(event, GestureHeld) and last is not None and last <= event.at < last + HELD_EVERY_S:
            return False
        if isinstance(event, GestureEnded):
            self._told.pop(key, None)
        else:
            self._told[key] = event.at
        return True

    def changed(self, event: GestureEvent, at: float) -> tuple[str | None, float] | None:
        """Return the newest active gesture (None: none) and since when, if it has changed."""
        hands = self._now.setdefault(event.camera, {})
        key = (event.person, event.hand)
        if isinstance(event, GestureStarted):
            hands.pop(key, None)
            hands[key] = (event.gesture, at)
        elif isinstance(event, GestureEnded):
            hands.pop(key, None)
        else:
            return None
        return next(reversed(hands.values())) if hands else (None, at)
