"""Does a camera still show the world? Pure: fed with frames and times, asked for a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from agent.core.types import Frame, Image

START_S = 14.0  # for opening and the first picture; sources give up by themselves after 12 s at most
RETURN_S = 1.0  # a source ends a silent read by itself after `stall`; this much later it hangs
COARSE = 16  # every 16th pixel is compared first: nearly always enough to see that something changed
SMOOTHING = 0.1  # weight of the newest interval

Fault: TypeAlias = Literal["hangs", "black", "frozen"]
"""No picture for so long that the source itself should have said something | always the
same picture, all zero | always the same picture."""


class Liveness:
    """What came last and when, and since when it has been the same picture, bit by bit.

    Real sensors are noisy: frames that are equal in every byte come from a camera, a driver or a
    server that repeats itself. `frozen` is what the camera showed all the time before it was opened
    again: it is believed at the first frame that differs.
    """

    def __init__(self, began_at: float, stall_s: float, frozen: Image | None = None) -> None:
        self.image = frozen
        self.trusted = frozen is None
        self._interval_s = 0.0  # between frames, smoothed
        self._stall_s = stall_s
        self.began_at = began_at
        self._came_at: float | None = None
        self._changed_at = began_at

    @property
    def is_live(self) -> bool:
        """It has shown something, and that was not just the frozen picture of before."""
        return self._came_at is not None and self.trusted

    @property
    def fps(self) -> float:
        """Measured; 0 before the second frame."""
        return 1 / self._interval_s if self._interval_s else 0.0

    def update(self, frame: Frame) -> None:
        """Take the next frame."""
        if self.image is None or not same(self.image, frame.image):
            self._changed_at = frame.at
            self.trusted = True
        if self._came_at is not None and frame.at > self._came_at:
            interval_s = frame.at - self._came_at
            self._interval_s += (interval_s - self._interval_s) * (SMOOTHING if self._interval_s else 1.0)
        self._came_at, self.image = frame.at, frame.image

    def fault(self, now: float, patience_s: float) -> Fault | None:
        """What is wrong, if anything; the same picture is borne for `patience_s`."""
        if self._came_at is None:
            return "hangs" if now - self.began_at > START_S else None
        if now - self._came_at > self._stall_s + RETURN_S:
            return "hangs"
        if self._came_at - self._changed_at <= patience_s:
            return None
        return "black" if self.image is not None and not self.image.any() else "frozen"

    def silent_s(self, now: float) -> float:
        """Since the last picture; since the beginning where none came."""
        return now - (self.began_at if self._came_at is None else self._came_at)


def same(one: Image, other: Image) -> bool:
    """Equal in every byte."""
    if one.shape != other.shape or not np.array_equal(one[::COARSE, ::COARSE], other[::COARSE, ::COARSE]):
        return False
    return np.array_equal(one, other)
