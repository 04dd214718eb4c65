"""Liveness of a camera: detects stalled, black and frozen pictures. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from agent.core.nv12 import Nv12Image

if TYPE_CHECKING:
    from agent.core.types import Frame, Image, Pixels

START_S = 14.0  # timeout of opening and the first image; sources give up by themselves after 12 s at most
RETURN_S = 1.0  # a source ends a read without data after `stall_timeout`; this much later it counts as hung
COARSE = 16  # every 16th pixel is compared first, which nearly always suffices to see a change
SMOOTHING = 0.1  # weight of the newest frame interval

Fault: TypeAlias = Literal["hangs", "black", "frozen"]
"""Kind of fault: no frame although the source should have reported an error | constant all-zero image |
constant image."""


class Liveness:
    """Tracks when the last frame came and since when the image is unchanged, byte by byte.

    Real sensors are noisy: identical frames come from a camera, driver or server that repeats itself.
    `frozen` is the constant image of a camera before it was reopened; the camera counts as live again at the
    first frame that differs from it.
    """

    def __init__(self, began_at: float, stall_s: float, frozen: Pixels | None = None) -> None:
        self.image = frozen
        self.trusted = frozen is None
        self._interval_s = 0.0  # between frames, smoothed
        self._stall_s = stall_s
        self.began_at = began_at
        self._came_at: float | None = None
        self._compared_at = self._changed_at = began_at

    @property
    def is_live(self) -> bool:
        """Whether a frame has come that is not just the earlier frozen image."""
        return self._came_at is not None and self.trusted

    @property
    def fps(self) -> float:
        """Measured frame rate; 0 before the second frame."""
        return 1 / self._interval_s if self._interval_s else 0.0

    @property
    def next_at(self) -> float:
        """When the next frame is expected; before the second one, minus infinity."""
        return self._came_at + self._interval_s if self._came_at and self._interval_s else -math.inf

    def update(self, frame: Frame) -> None:
        """Record the next frame."""
        if self.image is None or not same(self.image, frame.pixels):
            self._changed_at = frame.at
            self.trusted = True
        self._compared_at, self.image = frame.at, frame.pixels
        self.skipped(frame.at)

    def skipped(self, at: float) -> None:
        """Record that a frame came at `at`, whose image is not known."""
        if self._came_at is not None and at > self._came_at:
            interval_s = at - self._came_at
            self._interval_s += (interval_s - self._interval_s) * (SMOOTHING if self._interval_s else 1.0)
        self._came_at = at

    def fault(self, now: float, patience_s: float) -> Fault | None:
        """Return the fault at `now`, or None. An unchanged image is tolerated for `patience_s` seconds."""
        if self._came_at is None:
            return "hangs" if now - self.began_at > START_S else None
        if now - self._came_at > self._stall_s + RETURN_S:
            return "hangs"
        if self._compared_at - self._changed_at <= patience_s:
            return None
        return "black" if self.image is not None and _is_black(self.image) else "frozen"

    def silent_s(self, now: float) -> float:
        """Return the seconds since the last frame, or since the start where none came."""
        return now - (self.began_at if self._came_at is None else self._came_at)


def same(one: Pixels, other: Pixels) -> bool:
    """Whether two images are equal in every byte."""
    if one.shape != other.shape or isinstance(one, Nv12Image) != isinstance(other, Nv12Image):
        return False
    first, second = _bytes_of(one), _bytes_of(other)
    if not np.array_equal(first[::COARSE, ::COARSE], second[::COARSE, ::COARSE]):
        return False
    return np.array_equal(first, second)


def _bytes_of(image: Pixels) -> Image:
    return image.content if isinstance(image, Nv12Image) else image


def _is_black(image: Pixels) -> bool:
    return image.is_black if isinstance(image, Nv12Image) else not image.any()
