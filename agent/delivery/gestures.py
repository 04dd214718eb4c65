"""What is worth telling of the gestures: held ones now and then, and which one is being made now."""

from __future__ import annotations

from agent.core.types import GestureEnded, GestureEvent, GestureHeld, GestureStarted

HELD_EVERY_S = 1.0  # a held gesture is told of once a second, not with every reading

_Hand = tuple[int, str]  # person and hand


class GestureNews:
    """Remembers, camera by camera, the gestures that have started and not ended."""

    def __init__(self) -> None:
        self._now: dict[str, dict[_Hand, tuple[str, float]]] = {}
        self._told: dict[tuple[str, _Hand], float] = {}

    def worth_telling(self, event: GestureEvent) -> bool:
        """False for a `held` that comes less than a second after the last thing told of that hand."""
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
        """The newest gesture that is being made (None: none) and since when, if that has changed."""
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
