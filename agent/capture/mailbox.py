"""Between the cameras and the loop: one slot a camera, the newest frame wins."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.core.types import Frame


class FrameMailbox:
    """A mailbox for all cameras. Nothing queues: a frame that was not taken in time is dropped, and counted.

    Fair by its shape: `take` hands over the newest frame of every camera that has news, so a fast
    camera cannot keep a slow one waiting.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._slots: dict[str, Frame] = {}
        self._dropped: dict[str, int] = {}
        self._closed = False

    def put(self, frame: Frame) -> None:
        """Leave a frame; from the thread of its camera."""
        with self._changed:
            if self._closed:
                return
            if frame.camera in self._slots:
                self._dropped[frame.camera] = self._dropped.get(frame.camera, 0) + 1
            self._slots[frame.camera] = frame
            self._changed.notify()

    def take(self, timeout_s: float) -> list[Frame]:
        """The newest frame of every camera that has news, oldest first; none after `timeout_s` or `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._slots or self._closed, timeout_s)
            frames = sorted(self._slots.values(), key=lambda frame: frame.at)
            self._slots.clear()
            return frames

    def forget(self, camera: str) -> None:
        """A camera is lost or was switched off: what it left is no news any more."""
        with self._changed:
            self._slots.pop(camera, None)

    def dropped(self, camera: str) -> int:
        """Frames of a camera that were never taken."""
        with self._changed:
            return self._dropped.get(camera, 0)

    def close(self) -> None:
        """Nothing comes any more; a waiting `take` returns."""
        with self._changed:
            self._closed = True
            self._slots.clear()
            self._changed.notify_all()
