"""People in the pictures of one camera, whichever network finds them: what `recognition.pose` chooses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agent.core.types import Box, Image, Pose
from agent.inference.stopwatch import Stopwatch


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """A body that was seen; `id` stays from frame to frame. `region` is roughly where it is."""

    id: int
    pose: Pose
    region: Box


class BodyTracker(Protocol):
    """The people of one camera, from frame to frame."""

    def update(self, image: Image, at: float, watch: Stopwatch) -> list[Person]:
        """Everybody in the picture (BGR), within the limit that the tracker was made for."""


class BodyNet(Protocol):
    """Loaded networks that find bodies. They remember nothing, so all cameras share one."""

    def tracker(self, people: int, look_around_s: float) -> BodyTracker:
        """One for each camera: at most `people`, searched for anew every `look_around_s`."""
