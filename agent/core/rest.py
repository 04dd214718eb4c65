"""Resting: with nobody in view a camera is looked at only a few times a second."""

from __future__ import annotations


class Rest:
    """Decides for one camera which frames are worth a look.

    Awake, every frame is. After `after_s` seconds without a person or hand only `fps` frames a
    second are, until somebody is seen: that very frame wakes the camera to full rate.
    """

    def __init__(self, fps: float, after_s: float) -> None:
        self._interval_s = 1 / fps
        self._after_s = after_s
        self._last_seen_at: float | None = None
        self._last_look_at: float | None = None

    def resting(self, at: float) -> bool:
        """Whether nobody was seen for long enough."""
        return self._last_seen_at is not None and at - self._last_seen_at > self._after_s

    def wants(self, at: float) -> bool:
        """Whether the frame stamped `at` should be looked at."""
        if self._last_seen_at is None:
            self._last_seen_at = at  # the first frame counts as company: begin awake
        due = self._last_look_at is None or at - self._last_look_at >= self._interval_s
        backwards = self._last_look_at is not None and at < self._last_look_at  # a clip began anew
        if self.resting(at) and not due and not backwards:
            return False
        self._last_look_at = at
        return True

    def saw(self, at: float, somebody: bool) -> None:
        """What the look at `at` found."""
        if somebody or (self._last_seen_at is not None and at < self._last_seen_at):
            self._last_seen_at = at
