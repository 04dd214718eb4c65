"""Supervision of one camera: opens it, detects faults, reopens it with backoff."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import structlog

from agent.backoff import Backoff
from agent.capture.address import SourceAddress
from agent.capture.device_reader import DeviceReader
from agent.capture.liveness import Fault, Liveness
from agent.capture.source import Clock, FrameSource, NegotiatedFormat, open_source
from agent.core.types import CameraState, Frame, Pixels
from agent.errors import EndOfSource
from agent.supervision import Threads

if TYPE_CHECKING:
    from agent.capture.mailbox import FrameMailbox
    from agent.config.settings import CameraSettings

TICK_S = 0.2  # interval at which liveness is checked
SLOW_START_S = 4.0  # time without a first frame after which this is reported; waiting goes on
CLOSE_S = 2.0  # timeout of closing a device
MAX_HUNG = 4  # reader threads that never returned; each holds a thread and perhaps the device
GOOD_S = 10.0  # time online after which the backoff is reset
FAULTS = {
    "hangs": "no picture, and its driver or server does not return; check cable, power and network",
    "black": "every pixel of its pictures is zero; is the lens covered, or does its recorder send no video?",
    "frozen": "its image does not change; restart the camera, or raise `stall_timeout` for a static scene",
}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CameraCounters:
    """Counters of one camera since the agent started, for `bridge/health`.

    `fps` is measured. `negotiated` is the format that the source reported, None before the first frame.
    """

    frames: int
    dropped: int
    skipped: int
    stalls: int
    fps: float
    negotiated: NegotiatedFormat | None


class CameraSupervisor:
    """Runs one camera with two threads: one reads the device, one supervises it.

    A reader that hangs is abandoned and replaced; when its call returns it closes its device. The newest
    frame goes to `mailbox`; frame numbers continue over reopenings. `tell` is called for every change of
    state, from the supervising thread; it must not block.
    """

    def __init__(
        self,
        camera: str,
        settings: CameraSettings,
        mailbox: FrameMailbox,
        tell: Callable[[CameraState], None],
        *,
        clock: Clock = time.monotonic,
        make: Callable[[CameraSettings, str, Clock], FrameSource] = open_source,
        backoff: Backoff | None = None,
        threads: Threads | None = None,
    ) -> None:
        """Raises `ConfigError` for a malformed source; whether it exists is found when it is opened."""
        self._camera = camera
        self._settings = settings
        self._address = SourceAddress(settings)
        self._name = self._address.name
        self._mailbox = mailbox
        self._tell = tell
        self._clock = clock
        self._make = make
        self._backoff = backoff or Backoff()
        self._new_source()
        self._news = threading.Condition()
        self._enabled = True
        self._closing = False
        self._finished = False
        self._state = CameraState(camera, "offline", f"opening {self._name}")
        self._reader: DeviceReader | None = None  # the current reader
        self._hung: list[DeviceReader] = []
        self._frozen: Pixels | None = None  # constant image at the time the camera was given up as frozen
        self._frames = self._skipped = self._stalls = 0
        self._negotiated: NegotiatedFormat | None = None
        self._threads = threads or Threads()
        self._thread = self._threads.thread(f"watch-{camera}", self._run)

    def start(self) -> None:
        """Start the threads; returns at once."""
        self._thread.start()

    def enable(self, on: bool) -> None:
        """Enable or disable the camera; disabling closes the device. `tell` is called when done."""
        with self._news:
            self._enabled = on
            self._news.notify_all()

    def rest_until(self, at: float) -> None:
        """Say that frames captured before `at` will not be looked at, so that they need no decoding."""
        reader = self._reader
        if reader is not None:
            reader.wanted_at = at

    def close(self) -> None:
        """End the threads and close the device; waits a few seconds at most."""
        with self._news:
            self._closing = True
            self._news.notify_all()
        self._thread.join(CLOSE_S + 2 * TICK_S)

    @property
    def state(self) -> CameraState:
        """The last reported state."""
        return self._state

    @property
    def finished(self) -> bool:
        """Whether a file or folder has been played to its end."""
        return self._finished

    @property
    def counters(self) -> CameraCounters:
        """Return the counters so far."""
        reader = self._reader
        return CameraCounters(
            frames=self._frames,
            dropped=self._mailbox.dropped(self._camera),
            skipped=self._skipped + (reader.source.skipped if reader else 0),
            stalls=self._stalls,
            fps=reader.liveness.fps if reader else 0.0,
            negotiated=self._negotiated,
        )

    def _hide(self, text: str) -> str:
        return self._address.hide(text)

    def _new_source(self) -> FrameSource:
        return self._make(self._settings, self._camera, self._clock)

    def _run(self) -> None:
        """Run until closed. An internal error is logged and restarts this camera only."""
        told = False
        while not self._closing:
            self._thread.moves()
            try:
                if not told:
                    told = True
                    self._tell(self._state)
                self._run_camera() if self._enabled else self._stay_disabled()
            except Exception as exc:  # noqa: BLE001 (top of a thread; logged with its traceback)
                self._restart_after_error(exc)

    def _restart_after_error(self, exc: Exception) -> None:
        shown = self._hide("".join(traceback.format_exception(exc)))
        log.error("camera_supervisor_failed", camera=self._camera, traceback=shown)
        reader, self._reader = self._reader, None
        try:
            if reader is not None:
                self._abandon(reader, "")
            fault = f"a fault in the agent ({self._hide(repr(exc))}); see its log"
            self._report("offline", f"{self._name}: {fault}")
        except Exception as again:  # noqa: BLE001 (the error may lie in reporting)
            log.error("camera_supervisor_failed", camera=self._camera, traceback=self._hide(repr(again)))
        self._sleep(self._backoff.next_s())

    def _stay_disabled(self) -> None:
        hangs = any(not reader.wait_closed() for reader in self._hung)
        self._report("disabled", "a read of it still hangs: the device may still be open" if hangs else "")
        self._wait_until(lambda: self._enabled or self._closing)
        self._backoff.reset()
        self._frozen = None
        if not self._closing:
            self._report("offline", f"opening {self._name}")

    def _run_camera(self) -> None:
        """Open the camera and supervise it until it is lost, ended or disabled."""
        self._hung = [reader for reader in self._hung if not reader.wait_closed()]
        if len(self._hung) >= MAX_HUNG:
            self._report(
                "offline",
                f"{self._name}: {len(self._hung)} reads of it never returned; it is opened again when one "
                "does: pull the camera's plug, or restart the agent",
            )
            self._sleep(self._backoff.next_s())
            return
        liveness = Liveness(self._clock(), self._settings.stall_timeout, self._frozen)
        reader = DeviceReader(
            self._camera,
            self._new_source(),
            liveness,
            self._accept,
            self._notify,
            skipped=self._count,
            threads=self._threads,
            hide=self._hide,
        )
        self._reader = reader
        reader.start()
        reason = self._supervise(reader)
        self._abandon(reader, reason)
        if isinstance(reader.error, EndOfSource):
            self._stay_ended()
        elif reader.error or (reason and self._frozen is None):
            self._sleep(self._backoff.next_s())  # a frozen camera is reopened at once and checked further

    def _supervise(self, reader: DeviceReader) -> str:
        """Wait for the end of the reader and return the reason; empty where it was disabled."""
        online_at: float | None = None
        stall_s = self._settings.stall_timeout
        patience_s = stall_s if self._frozen is None else max(stall_s, self._backoff.next_s())
        while self._enabled and not self._closing and not reader.finished:
            now = self._clock()
            if fault := self._fault(reader, now, patience_s):
                self._stalls += 1
                self._frozen = None if fault == "hangs" else reader.liveness.image
                return f"{self._name}: {FAULTS[fault]}"
            if online_at is None and reader.liveness.is_live:
                online_at, patience_s, self._frozen = now, stall_s, None
                self._negotiated = reader.negotiated
                self._report("online")
            elif online_at is None and now - reader.liveness.began_at > SLOW_START_S:
                self._warn_slow()
            elif online_at is not None and now - online_at > GOOD_S:
                self._backoff.reset()
            self._sleep(TICK_S)
        if online_at is None and reader.finished and reader.liveness.is_live:
            self._report("online")  # it was online for less than a tick
        return str(reader.error) if reader.error else ""

    def _fault(self, reader: DeviceReader, now: float, patience_s: float) -> Fault | None:
        """The current fault; an unchanged image in a file is none, but a late one is."""
        fault = reader.liveness.fault(now, patience_s)
        if fault is None or reader.source.live:
            return fault
        fps = reader.negotiated.fps if reader.negotiated else 0.0
        late_s = self._settings.stall_timeout + (2 / fps if fps else 0.0)
        return "hangs" if fault == "hangs" and reader.liveness.silent_s(now) > late_s else None

    def _warn_slow(self) -> None:
        if self._state.reason.startswith("opening"):
            self._report("offline", f"{self._name}: no picture after {SLOW_START_S:g} s; still waiting")

    def _abandon(self, reader: DeviceReader, reason: str) -> None:
        """Report the camera as lost and abandon its reader."""
        self._reader = None
        reader.abandon()
        self._skipped += reader.source.skipped
        self._mailbox.forget(self._camera)
        if reason:
            self._report("offline", reason)
        if not reader.wait_closed(CLOSE_S):
            self._hung.append(reader)

    def _stay_ended(self) -> None:
        """Wait, after the end of a file, until the camera is disabled and enabled again, or closed."""
        self._finished = True
        self._wait_until(lambda: not self._enabled or self._closing)
        self._finished = False

    def _report(self, state: Literal["online", "offline", "disabled"], reason: str = "") -> None:
        """Report a state, unless it is unchanged."""
        told, self._state = self._state, CameraState(self._camera, state, reason)
        if told == self._state:
            return
        if state == "online":
            log.info(
                "camera_recovered", camera=self._camera, source=self._name, granted=str(self._negotiated)
            )
        elif state == "disabled":
            log.info("camera_disabled", camera=self._camera)
        else:
            log.warning("camera_lost", camera=self._camera, reason=reason)
        self._tell(self._state)

    def _wait_until(self, wanted: Callable[[], bool]) -> None:
        self._thread.rests()
        with self._news:
            self._news.wait_for(wanted)
        self._thread.moves()

    def _sleep(self, wait_s: float) -> None:
        """Wait, unless the camera is to change state or its reader has notified."""
        until = self._clock() + wait_s
        self._thread.moves()
        with self._news:
            self._news.wait(min(wait_s, TICK_S))
            while self._reader is None and self._enabled and not self._closing and self._clock() < until:
                self._thread.moves()
                self._news.wait(TICK_S)

    # --- called from the reading thread ---

    def _notify(self) -> None:
        with self._news:
            self._news.notify_all()

    def _accept(self, frame: Frame) -> None:
        self._mailbox.put(replace(frame, seq=self._frames))
        self._count()

    def _count(self) -> None:
        self._frames += 1
