"""Values that follow a hand: grabbed by a gesture, turned by moving, left where it lets go."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from agent.core.debounce import EPSILON_S
from agent.core.rules.rule_set import Dial, RuleContext, as_number, value_at
from agent.core.types import Place

TAKE_BACK_S = 0.3  # before a hand is seen to drop or let go it was on its way already
DROP = 6.0  # hand heights a second downwards: an arm that falls peaks at 7 to 12; half the range is 2 heights
DROP_S = 0.06  # over at least this time: two places in a row jitter


@dataclass(slots=True)
class _GrabbedDial:
    place: Place
    value: float


@dataclass(frozen=True, slots=True)
class _Stand:
    """Where hand and value were at a moment."""

    at: float
    place: Place
    value: float


class DialState:
    """Where one dial stands.

    A hand that goes down, or that the classifier is no longer sure of, is letting go: the dial freezes,
    and takes back what came of its last `TAKE_BACK_S`. It is grabbed anew, without a jump, if the hand is
    steady again.
    """

    def __init__(self, dial: Dial, vertical: bool) -> None:
        self._dial, self._vertical = dial, vertical
        self._left_at: float | None = None  # the value when it was let go
        self._sent: float | None = None
        self._sent_at = float("-inf")
        self._grab: _GrabbedDial | None = None
        self._frozen = False
        self._stood: deque[_Stand] = deque()  # of the last moments, while it is held

    def grab(self, place: Place, context: RuleContext) -> None:
        """A hand takes hold of it; the value does not jump."""
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
        """The value to send now, None if it moved too little or was sent too lately.

        `sure`: the gesture is still as clear as it must be to begin.
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
        """The last value, if the rate limit had kept it back or the hand took it along."""
        grab, self._grab = self._grab, None
        if grab is None or not self._stood:  # it never moved
            return None
        value = grab.value if self._frozen else self._before(self._stood[-1].at - TAKE_BACK_S, grab.value)
        self._left_at = value
        return self._send(at, value)

    def _freeze(self, at: float, place: Place) -> float | None:
        """Go back to where it stood before the hand was on its way."""
        assert self._grab is not None  # noqa: S101 (`turn` looked)
        if not self._frozen:
            value = self._before(at - TAKE_BACK_S, self._grab.value)
            self._grab, self._frozen, self._left_at = _GrabbedDial(place, value), True, value
            self._stood.clear()
        self._remember(at, place, self._grab.value)
        return self._send(at, self._grab.value)

    def _before(self, at: float, first: float) -> float:
        """The value at a moment; `first` where it was grabbed later."""
        return next((stand.value for stand in reversed(self._stood) if stand.at <= at + EPSILON_S), first)

    def _remember(self, at: float, place: Place, value: float) -> None:
        self._stood.append(_Stand(at, place, value))
        while len(self._stood) > 2 and self._stood[1].at <= at - TAKE_BACK_S + EPSILON_S:
            self._stood.popleft()

    def _drops(self, at: float, place: Place) -> bool:
        """Whether the hand falls."""
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
