"""People and the protocols of pose networks and trackers, selected by `recognition.pose`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agent.core.types import Box, Pixels, Pose
from agent.inference.stopwatch import Stopwatch


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """A detected person; `id` is stable from frame to frame, `region` the approximate box in px."""

    id: int
    pose: Pose
    region: Box


class BodyTracker(Protocol):
    """Protocol of a tracker of people, for one camera."""

    def update(self, image: Pixels, at: float, watch: Stopwatch) -> list[Person]:
        """Return the people in an image (BGR) at `at` seconds, up to the tracker's limit.

        Raises `EngineError`.
        """


class BodyNet(Protocol):
    """Protocol of loaded pose networks; stateless, so that all cameras share one instance."""

    def tracker(self, people: int, look_around_s: float) -> BodyTracker:
        """Create a tracker of at most `people` for one camera; redetection every `look_around_s` seconds."""
