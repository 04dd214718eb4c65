"""One frame ahead: the hands of a frame are classified while the bodies of the next are looked for.

More frames a second where both take long, each told one frame later. What is seen is the same: bodies do not
depend on hands, and hands are searched for only when those of the frame before are settled.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.core.types import Detections, Frame
from agent.inference.recognizer import PendingHands, Recognizer


class PipelinedRecognizer:
    """Eyes for the loop: `recognize` gives the sights of the frames before."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self._under_way: PendingHands | None = None
        self._seen: list[Detections] = []  # settled early, not told yet

    def recognize(self, frames: Sequence[Frame]) -> list[Detections]:
        """As `Recognizer.recognize`, one call later."""
        frame_poses = self._recognizer.find_poses(frames)
        self._finish()
        seen, self._seen = self._seen, []
        self._under_way = self._recognizer.find_hands(frame_poses)
        return seen

    def forget(self, camera: str) -> None:
        """As `Recognizer.forget`; what was seen last of that camera is not told any more."""
        self._finish()
        self._seen = [detections for detections in self._seen if detections.camera != camera]
        self._recognizer.forget(camera)

    def _finish(self) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            self._seen += self._recognizer.finish(under_way)


def with_overlap(recognizer: Recognizer, *, overlap: bool) -> Recognizer | PipelinedRecognizer:
    """One frame ahead where the settings say so, and a GPU works while the CPU goes on."""
    on_gpu = set(recognizer.backends.values()) == {"tensorrt"}
    return PipelinedRecognizer(recognizer) if overlap and on_gpu else recognizer
