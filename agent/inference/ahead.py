"""One frame ahead: the hands of a frame are classified while the bodies of the next are looked for.

More frames a second where both take long, each told one frame later. What is seen is the same: bodies do not
depend on hands, and hands are searched for only when those of the frame before are settled.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.core.types import Frame, Sight
from agent.inference.perception import Perception, Search


class Ahead:
    """Eyes for the loop: `see` gives the sights of the frames before."""

    def __init__(self, perception: Perception) -> None:
        self._perception = perception
        self._under_way: Search | None = None
        self._seen: list[Sight] = []  # settled early, not told yet

    def see(self, frames: Sequence[Frame]) -> list[Sight]:
        """As `Perception.see`, one call later."""
        looks = self._perception.look(frames)
        self._settle()
        seen, self._seen = self._seen, []
        self._under_way = self._perception.search(looks)
        return seen

    def forget(self, camera: str) -> None:
        """As `Perception.forget`; what was seen last of that camera is not told any more."""
        self._settle()
        self._seen = [sight for sight in self._seen if sight.camera != camera]
        self._perception.forget(camera)

    def _settle(self) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            self._seen += self._perception.settle(under_way)


def eyes_of(perception: Perception, *, overlap: bool) -> Perception | Ahead:
    """One frame ahead where the settings say so, and a GPU works while the CPU goes on."""
    on_gpu = set(perception.backends.values()) == {"tensorrt"}
    return Ahead(perception) if overlap and on_gpu else perception
