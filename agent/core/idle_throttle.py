"""Idle throttle: fewer frames are processed while nobody is in view, fewer still while nothing moves."""

from __future__ import annotations

import math

from agent.core.motion import coarse_thumbnail, has_changed
from agent.core.types import Floats, Pixels

STILL_S = 2.0  # time between two processed frames while idle and nothing moves: finds people who keep still
LONG_STILL_S = 16.0  # the longest it grows to, doubling: whoever comes, or raises a hand, moves


class IdleThrottle:
    """Decides, for one camera, which frames are processed.

    While active, every frame is. After `after_s` seconds without a person or hand the camera is idle: at most
    `fps` frames a second are processed, and only those that differ from the last processed one; one after
    `STILL_S` in any case, the next after twice that, up to `LONG_STILL_S`, until something moves. A detection
    ends idling at once.
    """

    def __init__(self, fps: float, after_s: float) -> None:
        self._interval_s = 1 / fps
        self._after_s = after_s
        self._last_seen_at: float | None = None
        self._last_look_at = -math.inf
        self._last_thumbnail_at = -math.inf
        self._still_s = STILL_S
        self._looked: Floats | None = None  # coarse thumbnail of the last processed frame while idle

    def is_idle(self, at: float) -> bool:
        """Whether nobody was seen for longer than `after_s`. `at` is in seconds."""
        return self._last_seen_at is not None and at - self._last_seen_at > self._after_s

    def should_process(self, at: float, image: Pixels) -> bool:
        """Whether the frame captured at `at` (seconds) is to be processed."""
        if self._last_seen_at is None:
            self._last_seen_at = at  # the first frame counts as a detection: start active
        if not self.is_idle(at):
            self._looked, self._still_s = None, STILL_S
            return self._look(at)
        if at < self._last_look_at:  # a video file started over
            return self._look(at)
        if at - self._last_thumbnail_at < self._interval_s and at >= self._last_thumbnail_at:
            return False
        self._last_thumbnail_at = at
        now, before = coarse_thumbnail(image), self._looked
        if before is None or has_changed(before, now):
            self._still_s = STILL_S
        elif at - self._last_look_at < self._still_s:
            return False
        else:
            self._still_s = min(2 * self._still_s, LONG_STILL_S)
        self._looked = now
        return self._look(at)

    def next_look_at(self, at: float) -> float | None:
        """When the next frame may be looked at, as of `at`; None while active: every frame is."""
        return self._last_thumbnail_at + self._interval_s if self.is_idle(at) else None

    def note_detections(self, at: float, somebody: bool) -> None:
        """Record whether the frame at `at` showed a person or hand."""
        if somebody or (self._last_seen_at is not None and at < self._last_seen_at):
            self._last_seen_at = at

    def _look(self, at: float) -> bool:
        self._last_look_at = self._last_thumbnail_at = at
        return True
