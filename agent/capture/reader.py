"""The thread that touches a camera's device. It may hang; nothing else does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from agent.errors import LostForNow

if TYPE_CHECKING:
    from agent.capture.liveness import Liveness
    from agent.capture.source import FrameSource, Granted
    from agent.core.types import Frame

log = structlog.get_logger()


class Reader:
    """One life of a source: opened, read until it ends or is told to stop, closed; all in one thread.

    `deliver` is called with every frame; `notify` when `granted` or `done` has changed.
    """

    def __init__(
        self,
        source: FrameSource,
        liveness: Liveness,
        deliver: Callable[[Reader, Frame], None],
        notify: Callable[[], None],
        name: str,
    ) -> None:
        self.source = source
        self.liveness = liveness
        self.granted: Granted | None = None
        self.error: Exception | None = None  # why it ended; None when it was told to
        self.done = False
        self._deliver = deliver
        self._notify = notify
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self, patience_s: float) -> bool:
        """Ask it to end, and wait for it; False when it hangs. It then ends by itself when it returns."""
        self._stopping.set()
        self.source.interrupt()
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Still holding the device, perhaps hung."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._play()
        except LostForNow as exc:
            self.error = exc
        except Exception as exc:
            log.exception("camera_reader_failed")
            self.error = exc
        finally:
            self.done = True
            self._notify()

    def _play(self) -> None:
        try:
            self.granted = self.source.open()
            self._notify()
            while not self._stopping.is_set():
                frame = self.source.read()
                if not self._stopping.is_set():
                    self._deliver(self, frame)
        finally:
            self.source.close()
