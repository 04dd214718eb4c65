"""systemd notifications: ready, status, reloading, stopping, and the watchdog."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping

from agent.core.numbers import number_or_none
from agent.service.sink import LOST, LostLines

SEND_S = 0.5  # seconds for one notification


class Notifier:
    """Sends to systemd's notification socket (sd_notify(3)); does nothing where there is none."""

    def __init__(self, environ: Mapping[str, str] = os.environ, lost: LostLines = LOST) -> None:
        self._lost = lost
        self._address = environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # the abstract namespace
            self._address = "\0" + self._address[1:]

    @property
    def present(self) -> bool:
        """Whether systemd listens for notifications."""
        return bool(self._address)

    def ready(self) -> None:
        """Report that the start or a reload is complete."""
        self._send("READY=1")

    def status(self, line: str) -> None:
        """Set the line that `systemctl status` shows."""
        self._send(f"STATUS={line}")

    def reloading(self) -> None:
        """Report that a reload begins; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report that the agent is stopping."""
        self._send("STOPPING=1")

    def ping_watchdog(self) -> None:
        """Reset systemd's watchdog timer."""
        self._send("WATCHDOG=1")

    def extend_start(self, seconds: float) -> None:
        """Extend the start timeout by that many seconds."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def preparing(self, line: str, seconds: float) -> None:
        """Show why the start takes long, as for TensorRT plans, and extend its timeout."""
        self.status(line)
        self.extend_start(seconds)

    def _send(self, message: str) -> None:
        """Send a notification. Never raises and never waits long; failures are counted.

        As sd_notify(3), but without blocking: a systemd that does not read must not stop the loop.
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
    """Status line of `systemctl status`, which includes trouble with the broker."""

    def __init__(self, notifier: Notifier, trouble: Callable[[], str | None]) -> None:
        """`trouble` returns what is wrong with the broker, None if nothing."""
        self._notifier, self._trouble = notifier, trouble
        self._line = "starting"
        self._told: str | None = None

    def on_summary(self, line: str) -> None:
        """Set the status of the agent."""
        trouble = self._trouble()
        self._line, self._told = line, trouble
        self._notifier.status(f"{line}; broker: {trouble}" if trouble else line)

    def on_step(self) -> None:
        """Update the line if the broker state changed. Called at every turn of the loop; cheap."""
        if self._trouble() != self._told:
            self.on_summary(self._line)


class Watchdog:
    """Resets systemd's watchdog timer while the loop runs and `healthy` reports that other threads do."""

    def __init__(
        self,
        notifier: Notifier,
        healthy: Callable[[], bool],
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        meant = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = environ.get("WATCHDOG_USEC", "") if meant else ""
        number = number_or_none(usec)
        self._every_s = None if number is None else number / 1e6 / 3  # three attempts in a timeout
        self._notifier, self._healthy, self._clock = notifier, healthy, clock
        self._fed_at = clock()

    def on_step(self) -> None:
        """Reset the watchdog timer when it is due. Called at every turn of the loop; cheap."""
        now = self._clock()
        if self._every_s is None or now - self._fed_at < self._every_s:
            return
        if self._healthy():
            self._fed_at = now
            self._notifier.ping_watchdog()
