"""Frame mailbox between cameras and loop: one slot for each camera, the newest frame wins."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.core.types import Frame


class FrameMailbox:
    """Holds the newest frame of every camera; an older frame not yet taken is dropped and counted.

    `take` returns the newest frame of every camera at once, so that a fast camera cannot starve a slow one.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._slots: dict[str, Frame] = {}
        self._dropped: dict[str, int] = {}
        self._closed = False

    def put(self, frame: Frame) -> None:
        """Store a frame, from its camera's thread; ignored after `close`."""
        with self._changed:
            if self._closed:
                return
            if frame.camera in self._slots:
                self._dropped[frame.camera] = self._dropped.get(frame.camera, 0) + 1
            self._slots[frame.camera] = frame
            self._changed.notify()

    def take(self, timeout_s: float) -> list[Frame]:
        """Return each camera's new frame, oldest first; empty after `timeout_s` or `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._slots or self._closed, timeout_s)
            frames = sorted(self._slots.values(), key=lambda frame: frame.at)
            self._slots.clear()
            return frames

    def forget(self, camera: str) -> None:
        """Discard the waiting frame of a camera that was lost or disabled."""
        with self._changed:
            self._slots.pop(camera, None)

    def dropped(self, camera: str) -> int:
        """Return how many frames of a camera were dropped."""
        with self._changed:
            return self._dropped.get(camera, 0)

    def close(self) -> None:
        """Accept no more frames; a waiting `take` returns."""
        with self._changed:
            self._closed = True
            self._slots.clear()
            self._changed.notify_all()
