"""What systemd hears of us: ready, status, reloading, stopping, and that we still make progress."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping

from agent.service.sink import LOST, Lost

SEND_S = 0.5  # for one notification


class Notifier:
    """Sends to systemd's notification socket (sd_notify(3)); does nothing where there is none."""

    def __init__(self, environ: Mapping[str, str] = os.environ, lost: Lost = LOST) -> None:
        self._lost = lost
        self._address = environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # the abstract namespace
            self._address = "\0" + self._address[1:]

    @property
    def present(self) -> bool:
        """Whether somebody listens."""
        return bool(self._address)

    def ready(self) -> None:
        """Started, or back from a reload."""
        self._send("READY=1")

    def status(self, line: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={line}")

    def reloading(self) -> None:
        """A reload begins; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """On the way out."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def extend_start(self, seconds: float) -> None:
        """The start takes longer: wait this much more."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def preparing(self, line: str, seconds: float) -> None:
        """The start takes long, as when TensorRT builds its plans: systemd shall see why, and wait."""
        self.status(line)
        self.extend_start(seconds)

    def _send(self, message: str) -> None:
        """Never raises and never waits long; what was not heard is counted.

        As sd_notify(3) itself, but for the waiting: a systemd that does not read must not hold the loop.
        """
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(SEND_S)
                sender.connect(self._address)
                sender.sendall(message.encode(errors="backslashreplace"))
        except (OSError, ValueError):
            self._lost.notification()


class StatusLine:
    """The line of `systemctl status`, with what is wrong with the broker if something is."""

    def __init__(self, notifier: Notifier, trouble: Callable[[], str | None]) -> None:
        """`trouble` says what is wrong with the broker, None for nothing."""
        self._notifier, self._trouble = notifier, trouble
        self._line = "starting"
        self._told: str | None = None

    def tell(self, line: str) -> None:
        """This is how the agent is now."""
        trouble = self._trouble()
        self._line, self._told = line, trouble
        self._notifier.status(f"{line}; broker: {trouble}" if trouble else line)

    def on_step(self) -> None:
        """Called by the loop with every turn; cheap. The broker may have come or gone."""
        if self._trouble() != self._told:
            self.tell(self._line)


class Watchdog:
    """Feeds systemd's watchdog with the loop's turns, while `sound` says that every other thread is well."""

    def __init__(
        self,
        notifier: Notifier,
        sound: Callable[[], bool],
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        meant = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = environ.get("WATCHDOG_USEC", "") if meant else ""
        self._every_s = int(usec) / 1e6 / 3 if usec.isdigit() else None  # three chances in a timeout
        self._notifier, self._sound, self._clock = notifier, sound, clock
        self._fed_at = clock()

    def on_step(self) -> None:
        """Called by the loop with every turn; cheap."""
        now = self._clock()
        if self._every_s is None or now - self._fed_at < self._every_s:
            return
        if self._sound():
            self._fed_at = now
            self._notifier.alive()
