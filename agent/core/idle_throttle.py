"""Resting: with nobody in view a camera is looked at a few times a second, less while nothing moves."""

from __future__ import annotations

import math

from agent.core.motion import glance, moved
from agent.core.types import Floats, Image

STILL_S = 2.0  # between two looks while nothing moves: whoever was there and kept still is found then


class IdleThrottle:
    """Decides for one camera which frames are worth a look.

    Awake, every frame is. After `after_s` seconds without a person or hand only `fps` frames a second are,
    and of these only those that differ from the last one looked at; one every `STILL_S` in any case. Somebody
    who is seen wakes the camera: that very frame, and the ones after it at full rate.
    """

    def __init__(self, fps: float, after_s: float) -> None:
        self._interval_s = 1 / fps
        self._after_s = after_s
        self._last_seen_at: float | None = None
        self._last_look_at = -math.inf
        self._last_glance_at = -math.inf
        self._looked: Floats | None = None  # a glance at the last picture that was looked at while resting

    def is_idle(self, at: float) -> bool:
        """Whether nobody was seen for long enough."""
        return self._last_seen_at is not None and at - self._last_seen_at > self._after_s

    def should_process(self, at: float, image: Image) -> bool:
        """Whether the frame stamped `at` should be looked at."""
        if self._last_seen_at is None:
            self._last_seen_at = at  # the first frame counts as company: begin awake
        if not self.is_idle(at):
            self._looked = None
            return self._look(at)
        if at < self._last_look_at:  # a clip began anew
            return self._look(at)
        if at - self._last_glance_at < self._interval_s and at >= self._last_glance_at:
            return False
        self._last_glance_at = at
        now, before = glance(image), self._looked
        if before is not None and at - self._last_look_at < STILL_S and not moved(before, now):
            return False
        self._looked = now
        return self._look(at)

    def note_detections(self, at: float, somebody: bool) -> None:
        """What the look at `at` found."""
        if somebody or (self._last_seen_at is not None and at < self._last_seen_at):
            self._last_seen_at = at

    def _look(self, at: float) -> bool:
        self._last_look_at = self._last_glance_at = at
        return True
