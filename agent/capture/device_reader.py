"""Reader thread of one camera: the only code that may block on a device."""

from __future__ import annotations

import math
import threading
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from agent.errors import LostForNow, SourceLost
from agent.supervision import Threads

if TYPE_CHECKING:
    from agent.capture.liveness import Liveness
    from agent.capture.source import FrameSource, NegotiatedFormat
    from agent.core.types import Frame, Pixels

EARLY_S = 0.01  # a frame may come this much before its expected time

log = structlog.get_logger()


class DeviceReader:
    """Reads one opened source in a thread of its own, until it ends or is abandoned, then closes it.

    `accept` gets every frame while the camera is live (see `Liveness`); `notify` is called when that begins
    and when the reader is `finished`. Frames before `wanted_at`, in seconds, are dropped undecoded.
    """

    def __init__(
        self,
        camera: str,
        source: FrameSource,
        liveness: Liveness,
        accept: Callable[[Frame], None],
        notify: Callable[[], None],
        *,
        skipped: Callable[[], None],
        threads: Threads,
        hide: Callable[[str], str] = lambda text: text,
    ) -> None:
        self.source = source
        self.liveness = liveness
        self.negotiated: NegotiatedFormat | None = None
        self.error: Exception | None = None  # why it ended; None where it was abandoned
        self.wanted_at = -math.inf
        self._done = False
        self._camera = camera
        self._accept = accept
        self._notify = notify
        self._skipped = skipped  # called for every frame that is dropped
        self._hide = hide  # removes secrets from a traceback
        self._gate = threading.Lock()
        self._left = False
        self._thread = threads.thread(f"camera-{camera}", self._run)

    def start(self) -> None:
        """Start the thread; returns at once."""
        self._thread.start()

    def abandon(self) -> None:
        """Ignore all further frames; the thread ends once its device call returns."""
        with self._gate:
            self._left = True
        self.source.interrupt()

    def wait_closed(self, patience_s: float = 0) -> bool:
        """Wait up to `patience_s` seconds until the device is closed; return whether it is."""
        return self._thread.join(patience_s)

    @property
    def finished(self) -> bool:
        """Whether no more frames will come; the device may still be closing."""
        return self.error is not None or self._done

    def _run(self) -> None:
        self._thread.rests()  # a device may hang: its supervisor notices, and the camera is lost for now
        try:
            self._play()
        except LostForNow as exc:
            self.error = exc
        except Exception as exc:  # noqa: BLE001 (top of a thread; logged with its traceback)
            self._failed(exc)
        self._notify()
        try:
            self.source.close()
        except Exception as exc:  # noqa: BLE001 (as above)
            self._failed(exc)
        finally:
            self._done = True
            self._notify()

    def _failed(self, exc: Exception) -> None:
        """Log an internal error with its traceback; the supervisor then reopens the camera."""
        shown = self._hide("".join(traceback.format_exception(exc)))
        log.error("camera_reader_failed", camera=self._camera, traceback=shown)
        self.error = self.error or SourceLost(f"a fault in the agent ({self._hide(repr(exc))}); see its log")

    def _play(self) -> None:
        self.negotiated = self.source.open()
        while not self._left:
            if self.liveness.is_live and self.liveness.next_at < self.wanted_at - EARLY_S:
                self._skip(self.source.skip())
            else:
                self._take(self.source.read())

    def _skip(self, at: float) -> None:
        with self._gate:
            if not self._left:
                self.liveness.skipped(at)
                self._skipped()

    def _take(self, frame: Frame) -> None:
        with self._gate:
            if self._left:
                return
            was, saw = self.liveness.image, self.liveness.is_live
            self.liveness.update(frame)
            if self.liveness.is_live:
                self._accept(frame)
        if was is not None and was.shape != frame.pixels.shape:
            self._report_size(was, frame)
        if self.liveness.is_live != saw:
            self._notify()

    def _report_size(self, was: Pixels, frame: Frame) -> None:
        sizes = f"{was.shape[1]}x{was.shape[0]}", f"{frame.width}x{frame.height}"
        log.warning("camera_size_changed", camera=self._camera, was=sizes[0], now=sizes[1])
