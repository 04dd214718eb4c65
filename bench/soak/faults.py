"""Faults of cameras and broker for the soak test. Each fault is over when its method returns."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable

from process import children
from stage import Stage
from support.waiting import until

AWAY_S = (0.5, 12.0)  # seconds that a failed part is away: from, to


class Faults:
    """Random faults; `wait` passes the time until the failed part returns."""

    def __init__(self, stage: Stage, draw: random.Random, wait: Callable[[float], None]) -> None:
        self.stage, self._draw, self._wait = stage, draw, wait
        self._all = [
            *(self.shelf_vanishes, self.shelf_damaged, self.tape_removed, self.tape_truncated),
            *((self.pipe_killed, self.pipe_frozen) if stage.piped else ()),
            *(self.broker_killed, self.broker_restarted, self.broker_frozen, self.network_cut),
        ]

    def draw(self) -> Callable[[], None]:
        """Cause a random fault."""
        return self._draw.choice(self._all)

    def shelf_vanishes(self) -> None:
        """Remove the image folder and restore it, as with a network share or USB stick."""
        shelf, gone = self.stage.folder / "shelf", self.stage.folder / "gone"
        shelf.rename(gone)
        self._away()
        gone.rename(shelf)

    def shelf_damaged(self) -> None:
        """Truncate images."""
        paths = sorted((self.stage.folder / "shelf").iterdir())[::2]
        whole = {path: path.read_bytes() for path in paths}
        for path, data in whole.items():
            path.write_bytes(data[: len(data) // 2])
        self._away()
        for path, data in whole.items():
            path.write_bytes(data)

    def tape_removed(self) -> None:
        """Remove the video file before its next round."""
        tape, gone = self.stage.folder / "tape.avi", self.stage.folder / "tape.gone"
        tape.rename(gone)
        self._away()
        gone.rename(tape)

    def tape_truncated(self) -> None:
        """Truncate the video file anywhere, also before its first frame."""
        tape = self.stage.folder / "tape.avi"
        whole = tape.read_bytes()
        os.truncate(tape, self._draw.randrange(len(whole)))
        self._away()
        tape.write_bytes(whole)

    def pipe_killed(self) -> None:
        """Kill the camera pipeline."""
        self._signal_pipe(signal.SIGKILL)
        self._away()

    def pipe_frozen(self) -> None:
        """Freeze the camera pipeline."""
        frozen = self._signal_pipe(signal.SIGSTOP)
        self._away()
        for pid in frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _signal_pipe(self, number: int) -> list[int]:
        running = children(self.stage.agent.pid)
        for pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return running

    def broker_killed(self) -> None:
        """Kill the broker with SIGKILL."""
        self._without_broker(self.stage.broker.kill)

    def broker_restarted(self) -> None:
        """Restart the broker in good order, as at an upgrade."""

        def stop() -> None:
            self.stage.broker.signal(signal.SIGTERM)
            time.sleep(0.5)
            self.stage.broker.stop()

        self._without_broker(stop)

    def _without_broker(self, end: Callable[[], None]) -> None:
        """Stop the broker; the agent reconnects only after the subscriber, so that no message is dropped."""
        stage = self.stage
        stage.subscriber.ready.clear()
        end()
        stage.wire.cut()
        self._away()
        stage.broker.start()
        until(stage.subscriber.ready.is_set, "the subscriber is back", 60)
        stage.wire.join()

    def broker_frozen(self) -> None:
        """Freeze the broker: it holds connections and does nothing."""
        self.stage.broker.signal(signal.SIGSTOP)
        self._away()
        self.stage.broker.signal(signal.SIGCONT)

    def network_cut(self) -> None:
        """Cut the network between agent and broker."""
        self.stage.wire.cut()
        self._away()
        self.stage.wire.join()

    def _away(self) -> None:
        self._wait(self._draw.uniform(*AWAY_S))
