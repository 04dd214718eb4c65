"""What can happen to the cameras and to the broker. Each fault is over when it returns."""

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

AWAY_S = (0.5, 12.0)  # how long what fails is away: from, to


class Faults:
    """Drawn at random; `wait` passes the time until what failed comes back."""

    def __init__(self, stage: Stage, draw: random.Random, wait: Callable[[float], None]) -> None:
        self.stage, self._draw, self._wait = stage, draw, wait
        self._all = [
            *(self.shelf_vanishes, self.shelf_damaged, self.tape_removed, self.tape_truncated),
            *((self.pipe_killed, self.pipe_frozen) if stage.piped else ()),
            *(self.broker_killed, self.broker_restarted, self.broker_frozen, self.network_cut),
        ]

    def draw(self) -> Callable[[], None]:
        """Any of them."""
        return self._draw.choice(self._all)

    def shelf_vanishes(self) -> None:
        """A folder that goes away and comes back, as a share or a stick does."""
        shelf, gone = self.stage.folder / "shelf", self.stage.folder / "gone"
        shelf.rename(gone)
        self._away()
        gone.rename(shelf)

    def shelf_damaged(self) -> None:
        """Pictures that end in the middle."""
        paths = sorted((self.stage.folder / "shelf").iterdir())[::2]
        whole = {path: path.read_bytes() for path in paths}
        for path, data in whole.items():
            path.write_bytes(data[: len(data) // 2])
        self._away()
        for path, data in whole.items():
            path.write_bytes(data)

    def tape_removed(self) -> None:
        """A file that is gone when its next round begins."""
        tape, gone = self.stage.folder / "tape.avi", self.stage.folder / "tape.gone"
        tape.rename(gone)
        self._away()
        gone.rename(tape)

    def tape_truncated(self) -> None:
        """A file that ends anywhere, also before its first frame."""
        tape = self.stage.folder / "tape.avi"
        whole = tape.read_bytes()
        os.truncate(tape, self._draw.randrange(len(whole)))
        self._away()
        tape.write_bytes(whole)

    def pipe_killed(self) -> None:
        """The camera stack crashes."""
        self._signal_pipe(signal.SIGKILL)
        self._away()

    def pipe_frozen(self) -> None:
        """The camera stack hangs."""
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
        """Ended with SIGKILL, in the middle of whatever it does."""
        self._without_broker(self.stage.broker.kill)

    def broker_restarted(self) -> None:
        """In order, as at an upgrade."""

        def stop() -> None:
            self.stage.broker.signal(signal.SIGTERM)
            time.sleep(0.5)
            self.stage.broker.stop()

        self._without_broker(stop)

    def _without_broker(self, end: Callable[[], None]) -> None:
        """The agent comes back only when the subscriber listens: a broker forgets what nobody waits for."""
        stage = self.stage
        stage.subscriber.ready.clear()
        end()
        stage.wire.cut()
        self._away()
        stage.broker.start()
        until(stage.subscriber.ready.is_set, "the subscriber is back", 60)
        stage.wire.join()

    def broker_frozen(self) -> None:
        """It holds its connections and does nothing."""
        self.stage.broker.signal(signal.SIGSTOP)
        self._away()
        self.stage.broker.signal(signal.SIGCONT)

    def network_cut(self) -> None:
        """Between the agent and the broker."""
        self.stage.wire.cut()
        self._away()
        self.stage.wire.join()

    def _away(self) -> None:
        self._wait(self._draw.uniform(*AWAY_S))
