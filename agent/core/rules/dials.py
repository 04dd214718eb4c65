"""Dials: values that follow a hand's movement while a gesture is held."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from agent.core.debounce import EPSILON_S
from agent.core.rules.rule_set import Dial, RuleContext, as_number, value_at
from agent.core.types import Place

TAKE_BACK_S = 0.3  # movement before a detected release is undone: the hand was already letting go
DROP = 6.0  # hand heights/s downwards: a falling arm peaks at 7 to 12; half of a dial's range is 2 heights
DROP_S = 0.06  # shortest window for that speed: consecutive places jitter


@dataclass(slots=True)
class _GrabbedDial:
    place: Place
    value: float


@dataclass(frozen=True, slots=True)
class _Stand:
    """Place and value at one moment."""

    at: float
    place: Place
    value: float


class DialState:
    """State of one dial: its value, the hand that holds it, and the recent course of both.

    A hand that drops, or whose score falls, is letting go: the dial freezes and undoes its last `TAKE_BACK_S`
    of movement. When the hand is steady again the dial continues from its value, without a jump.
    """

    def __init__(self, dial: Dial, vertical: bool) -> None:
        self._dial, self._vertical = dial, vertical
        self._left_at: float | None = None  # value at the last release
        self._sent: float | None = None
        self._sent_at = float("-inf")
        self._grab: _GrabbedDial | None = None
        self._frozen = False
        self._stood: deque[_Stand] = deque()  # recent moments while held

    def grab(self, place: Place, context: RuleContext) -> None:
        """Start following a hand at `place`; the value does not jump."""
        heard = None
        if self._dial.follow:
            topic, path = self._dial.follow
            heard = as_number(value_at(context.values.get(topic), path))
        value = next(v for v in (heard, self._left_at, self._dial.start) if v is not None)
        self._grab = _GrabbedDial(place, self._clamp(value))
        self._frozen = False
        self._stood.clear()
        self._sent = self._round(value)

    def turn(self, at: float, place: Place, *, sure: bool = True) -> float | None:
        """Move to `place` and return the value to send; None after too little movement or time.

        `sure` is whether the gesture's score still reaches the confidence to start; without it the dial
        freezes.
        """
        if self._grab is None:
            return None
        drops = self._drops(at, place)
        if not sure or drops:
            return self._freeze(at, place)
        if self._frozen:
            self._grab, self._frozen = _GrabbedDial(place, self._grab.value), False
        value = self._value(self._grab, place)
        self._remember(at, place, value)
        self._left_at = value
        due = at - self._sent_at >= self._dial.every_s - EPSILON_S
        return self._send(at, value) if due else None

    def release(self, at: float) -> float | None:
        """Stop following; return the last value if it was not yet sent or has to be corrected, else None."""
        grab, self._grab = self._grab, None
        if grab is None or not self._stood:  # never moved
            return None
        value = grab.value if self._frozen else self._before(self._stood[-1].at - TAKE_BACK_S, grab.value)
        self._left_at = value
        return self._send(at, value)

    def _freeze(self, at: float, place: Place) -> float | None:
        """Undo the movement of the last `TAKE_BACK_S`."""
        assert self._grab is not None  # noqa: S101 (`turn` looked)
        if not self._frozen:
            value = self._before(at - TAKE_BACK_S, self._grab.value)
            self._grab, self._frozen, self._left_at = _GrabbedDial(place, value), True, value
            self._stood.clear()
        self._remember(at, place, self._grab.value)
        return self._send(at, self._grab.value)

    def _before(self, at: float, first: float) -> float:
        """The value at time `at`; `first` where it was grabbed later."""
        return next((stand.value for stand in reversed(self._stood) if stand.at <= at + EPSILON_S), first)

    def _remember(self, at: float, place: Place, value: float) -> None:
        self._stood.append(_Stand(at, place, value))
        while len(self._stood) > 2 and self._stood[1].at <= at - TAKE_BACK_S + EPSILON_S:
            self._stood.popleft()

    def _drops(self, at: float, place: Place) -> bool:
        """Whether the hand moves down faster than `DROP`."""
        then = next((stand for stand in reversed(self._stood) if at - stand.at >= DROP_S), None)
        if then is None:
            return False
        down = (place.y_share - then.place.y_share) / max(place.height_share, 1e-3)
        return down >= DROP * (at - then.at)

    def _send(self, at: float, value: float) -> float | None:
        rounded = self._round(value)
        if self._sent is not None and abs(rounded - self._sent) < self._dial.step * (1 - 1e-6):
            return None
        self._sent, self._sent_at = rounded, at
        return rounded

    def _value(self, grab: _GrabbedDial, place: Place) -> float:
        height = max(grab.place.height_share, 1e-3)
        if self._vertical:
            moved = (grab.place.y_share - place.y_share) / height
        else:  # the person's right is left in the image
            moved = (grab.place.x_share - place.x_share) * place.aspect / height
        return self._clamp(grab.value + moved / self._dial.travel * (self._dial.high - self._dial.low))

    def _clamp(self, value: float) -> float:
        low, high = sorted((self._dial.low, self._dial.high))
        return min(max(value, low), high)

    def _round(self, value: float) -> float:
        """Round to whole steps, so that noise is not sent; both ends stay reachable."""
        steps = round((self._clamp(value) - self._dial.low) / self._dial.step)
        return self._clamp(round(self._dial.low + steps * self._dial.step, 6))
