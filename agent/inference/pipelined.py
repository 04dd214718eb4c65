"""Pipelined recognition: classifies the hands of one frame while the poses of the next are estimated.

Raises throughput where both take long, at the cost of one frame of latency. Results are the same: poses do
not depend on hands, and hands are searched only after those of the previous frame are finished.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.core.types import Detections, Frame
from agent.inference.recognizer import PendingHands, Recognizer


class PipelinedRecognizer:
    """A recogniser for the loop whose `recognize` returns the detections of the previous call's frames."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self._under_way: PendingHands | None = None
        self._seen: list[Detections] = []  # finished early, not returned yet

    def recognize(self, frames: Sequence[Frame]) -> list[Detections]:
        """Start on these frames and return the detections of the previous ones. Raises `EngineError`."""
        frame_poses = self._recognizer.find_poses(frames)
        self._finish()
        seen, self._seen = self._seen, []
        self._under_way = self._recognizer.find_hands(frame_poses)
        return seen

    def forget(self, camera: str) -> None:
        """Drop all state of a camera, including detections not returned yet."""
        self._finish()
        self._seen = [detections for detections in self._seen if detections.camera != camera]
        self._recognizer.forget(camera)

    def _finish(self) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            self._seen += self._recognizer.finish(under_way)


def with_overlap(recognizer: Recognizer, *, overlap: bool) -> Recognizer | PipelinedRecognizer:
    """Return a pipelined recogniser where the settings ask for it and a GPU is used; else the given one."""
    on_gpu = set(recognizer.backends.values()) == {"tensorrt"}
    return PipelinedRecognizer(recognizer) if overlap and on_gpu else recognizer
