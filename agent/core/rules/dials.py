"""Values that follow a hand: grabbed by a gesture, turned by moving, left where it lets go."""

from __future__ import annotations

from dataclasses import dataclass

from agent.core.debounce import EPSILON_S
from agent.core.rules.book import Dial, World, as_number, value_at
from agent.core.types import Place


@dataclass(slots=True)
class _Grab:
    place: Place
    value: float


class DialState:
    """Where one dial stands."""

    def __init__(self, dial: Dial, vertical: bool) -> None:
        self._dial, self._vertical = dial, vertical
        self._left_at: float | None = None  # the value when it was let go
        self._sent: float | None = None
        self._sent_at = float("-inf")
        self._grab: _Grab | None = None

    def grab(self, place: Place, world: World) -> None:
        """A hand takes hold of it; the value does not jump."""
        heard = None
        if self._dial.follow:
            topic, path = self._dial.follow
            heard = as_number(value_at(world.values.get(topic), path))
        value = next(v for v in (heard, self._left_at, self._dial.start) if v is not None)
        self._grab = _Grab(place, self._clamp(value))
        self._sent = self._round(value)

    def turn(self, at: float, place: Place) -> float | None:
        """The value to send now, None if it moved too little or was sent too lately."""
        if self._grab is None:
            return None
        value = self._value(self._grab, place)
        self._left_at = value
        due = at - self._sent_at >= self._dial.every_s - EPSILON_S
        return self._send(at, value) if due else None

    def let_go(self, at: float) -> float | None:
        """The last value, if the rate limit had kept it back."""
        if self._grab is None or self._left_at is None:
            return None
        self._grab = None
        return self._send(at, self._left_at)

    def _send(self, at: float, value: float) -> float | None:
        rounded = self._round(value)
        if self._sent is not None and abs(rounded - self._sent) < self._dial.step * (1 - 1e-6):
            return None
        self._sent, self._sent_at = rounded, at
        return rounded

    def _value(self, grab: _Grab, place: Place) -> float:
        height = max(grab.place.height_share, 1e-3)
        if self._vertical:
            moved = (grab.place.y_share - place.y_share) / height
        else:  # the person's right is the picture's left
            moved = (grab.place.x_share - place.x_share) * place.aspect / height
        return self._clamp(grab.value + moved / self._dial.travel * (self._dial.high - self._dial.low))

    def _clamp(self, value: float) -> float:
        low, high = sorted((self._dial.low, self._dial.high))
        return min(max(value, low), high)

    def _round(self, value: float) -> float:
        """To whole steps, so that noise in the last digit is no news; the ends stay reachable."""
        steps = round((self._clamp(value) - self._dial.low) / self._dial.step)
        return self._clamp(round(self._dial.low + steps * self._dial.step, 6))
