"""Keeps one camera running: opens it, notices when it stops showing the world, opens it again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import structlog

from agent.capture.backoff import Backoff
from agent.capture.liveness import Liveness
from agent.capture.reader import Reader
from agent.capture.source import Clock, FrameSource, Granted, open_source, public_name
from agent.core.types import CameraState, Frame, Image
from agent.errors import EndOfSource

if TYPE_CHECKING:
    from agent.capture.latest import Latest
    from agent.config.settings import CameraSettings

TICK_S = 0.2  # how often a silent camera is judged
SLOW_START_S = 4.0  # no first picture by then: say so, and go on waiting
CLOSE_S = 2.0  # for closing a device
MAX_HUNG = 4  # reads that never returned; each keeps a thread and perhaps the device
GOOD_S = 10.0  # online for this long: the next loss is a new one, and its first retry is soon

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CameraCounters:
    """For `bridge/health`, since the start of the agent.

    `fps` is measured. `granted` is what the source said, None before it first opened.
    """

    frames: int
    dropped: int
    skipped: int
    stalls: int
    fps: float
    granted: Granted | None


class CameraWatch:
    """One camera, two threads: one touches the device, one watches over it.

    A reader that hangs is left behind and replaced; when it returns it closes what it held. The newest
    frame goes to `latest`, numbered over all lives of the camera. `tell` hears every change of state,
    from the watching thread; it must not block.
    """

    def __init__(
        self,
        camera: str,
        settings: CameraSettings,
        latest: Latest,
        tell: Callable[[CameraState], None],
        *,
        clock: Clock = time.monotonic,
        make: Callable[[CameraSettings, str, Clock], FrameSource] = open_source,
        backoff: Backoff | None = None,
    ) -> None:
        """Raises `ConfigError` where the source makes no sense; whether it is there shows later."""
        self._build = lambda: make(settings, camera, clock)
        self._build()
        self._camera = camera
        self._name = public_name(settings.source)
        self._stall_s = settings.stall
        self._latest = latest
        self._tell = tell
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._news = threading.Condition()
        self._enabled = True
        self._closing = False
        self._finished = False
        self._opening = f"opening {self._name}"
        self._state = CameraState(camera, "offline", self._opening)
        self._reader: Reader | None = None  # whose frames count
        self._hung: list[Reader] = []
        self._frozen: Image | None = None  # what the camera showed when it was given up as frozen
        self._frames = 0
        self._skipped = 0
        self._stalls = 0
        self._granted: Granted | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch-{camera}", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def enable(self, on: bool) -> None:
        """Switch the camera on or off; off closes the device. Returns at once, `tell` hears when it is done."""
        with self._news:
            self._enabled = on
            self._news.notify_all()

    def close(self) -> None:
        """End it and close the device; waits for that, a few seconds at most."""
        with self._news:
            self._closing = True
            self._news.notify_all()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S + 2 * TICK_S)

    @property
    def state(self) -> CameraState:
        """As last told."""
        return self._state

    @property
    def finished(self) -> bool:
        """True once a file or folder has been played to its end."""
        return self._finished

    @property
    def counters(self) -> CameraCounters:
        """What happened so far."""
        with self._news:
            reader = self._reader
            return CameraCounters(
                frames=self._frames,
                dropped=self._latest.dropped(self._camera),
                skipped=self._skipped + (reader.source.skipped if reader else 0),
                stalls=self._stalls,
                fps=reader.liveness.fps if reader else 0.0,
                granted=self._granted,
            )

    # --- the watching thread ---

    def _run(self) -> None:
        self._tell(self._state)
        while not self._closing:
            try:
                self._live() if self._enabled else self._be_off()
            except Exception as exc:
                log.exception("camera_watch_failed", camera=self._camera)
                self._report("offline", f"{self._name}: a fault in the agent ({exc!r}); see its log")
                self._sleep(self._backoff.next_s())

    def _be_off(self) -> None:
        hung = sum(reader.alive for reader in self._hung)
        self._report("disabled", "a read still hangs, the device may still be open" if hung else "")
        with self._news:
            self._news.wait_for(lambda: self._enabled or self._closing)
        self._backoff.reset()
        self._frozen = None
        if not self._closing:
            self._report("offline", self._opening)

    def _live(self) -> None:
        """Open the camera and stay with it until it is lost, ended or switched off."""
        self._hung = [reader for reader in self._hung if reader.alive]
        if len(self._hung) >= MAX_HUNG:
            self._report(
                "offline",
                f"{self._name}: {len(self._hung)} reads of it never returned; not opened again before one "
                "does: pull the camera's plug, or restart the agent",
            )
            self._sleep(self._backoff.next_s())
            return
        reader = Reader(
            self._build(),
            Liveness(self._clock(), self._stall_s, self._frozen),
            self._deliver,
            self._notify,
            f"camera-{self._camera}",
        )
        with self._news:
            self._reader = reader
        reader.start()
        self._leave(reader, self._watch_over(reader))

    def _watch_over(self, reader: Reader) -> str:
        """Wait until it is over; why, empty when it was switched off or played to its end."""
        began_at = self._clock()
        online_at: float | None = None
        patience_s = self._stall_s if self._frozen is None else max(self._stall_s, self._backoff.next_s())
        while self._enabled and not self._closing and not reader.done:
            now = self._clock()
            if reason := self._fault(reader.liveness, now, patience_s) if reader.source.live else "":
                self._stalls += 1
                return reason
            if online_at is None and reader.liveness.seeing:
                online_at, patience_s, self._frozen = now, self._stall_s, None
                self._report("online")
            elif online_at is None and now - began_at > SLOW_START_S:
                self._still_opening()
            elif online_at is not None and now - online_at > GOOD_S:
                self._backoff.reset()
            with self._news:
                self._news.wait(TICK_S)
        return str(reader.error) if reader.error else ""

    def _fault(self, liveness: Liveness, now: float, patience_s: float) -> str:
        """What is wrong with a live camera that says nothing itself."""
        if liveness.hangs(now):
            return (
                f"{self._name}: no picture, and its driver or server does not return; "
                "check its cable, its power and its network"
            )
        if liveness.frozen(now, patience_s):
            self._frozen = liveness.image
            return (
                f"{self._name}: the same picture again and again for {self._stall_s:g} s; "
                "restart the camera, or raise `stall` if it may show the same for so long"
            )
        return ""

    def _still_opening(self) -> None:
        if self._state.reason == self._opening:
            self._report(
                "offline", f"{self._name}: no picture {SLOW_START_S:g} s after opening; still waiting"
            )

    def _leave(self, reader: Reader, reason: str) -> None:
        """Say what happened, let go of the device, and wait before the next try."""
        with self._news:
            self._reader = None
            self._skipped += reader.source.skipped
        self._latest.forget(self._camera)
        if reason:
            self._report("offline", reason)
        if not reader.stop(CLOSE_S):
            self._hung.append(reader)
        if isinstance(reader.error, EndOfSource):
            self._finish()
        elif reason and self._frozen is not reader.liveness.image:
            self._sleep(self._backoff.next_s())

    def _finish(self) -> None:
        """A file was played to its end: nothing more to do until it is switched off and on, or closed."""
        self._finished = True
        with self._news:
            self._news.wait_for(lambda: not self._enabled or self._closing)
        self._finished = False

    def _report(self, state: Literal["online", "offline", "disabled"], reason: str = "") -> None:
        """Tell a state, once."""
        told, self._state = self._state, CameraState(self._camera, state, reason)
        if told == self._state:
            return
        if state == "online":
            log.info("camera_back", camera=self._camera, source=self._name, granted=self._granted)
        elif reason != self._opening:
            log.warning("camera_lost", camera=self._camera, state=state, reason=reason)
        self._tell(self._state)

    def _sleep(self, wait_s: float) -> None:
        """Wait by the clock, unless something is wanted of this camera."""
        until = self._clock() + wait_s
        with self._news:
            while self._enabled and not self._closing and self._clock() < until:
                self._news.wait(min(TICK_S, wait_s))

    # --- the reading thread ---

    def _notify(self) -> None:
        with self._news:
            self._news.notify_all()

    def _deliver(self, reader: Reader, frame: Frame) -> None:
        """Pass a frame on, unless its reader was left behind or it is the frozen picture of before."""
        liveness = reader.liveness
        before = liveness.image
        with self._news:
            if reader is not self._reader:
                return
            was_seeing = liveness.seeing
            liveness.see(frame)
            if not liveness.seeing:
                return
            self._granted = reader.granted
            self._latest.put(replace(frame, seq=self._frames))
            self._frames += 1
            if not was_seeing:
                self._news.notify_all()
        if before is not None and before.shape != frame.image.shape:
            self._say_size(before, frame)

    def _say_size(self, before: Image, frame: Frame) -> None:
        was = f"{before.shape[1]}x{before.shape[0]}"
        log.warning("camera_size_changed", camera=self._camera, was=was, now=f"{frame.width}x{frame.height}")
