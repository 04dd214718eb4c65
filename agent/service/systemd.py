"""What systemd hears of us: ready, status, reloading, stopping, and that we still make progress."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping


class Notifier:
    """Sends to systemd's notification socket (sd_notify(3)); does nothing where there is none."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")  # systemd-python reads it from the environment
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
        if not self._address:
            return
        try:
            from systemd import daemon  # noqa: PLC0415 (an optional package)
        except ImportError:
            self._send_plainly(message)
        else:
            daemon.notify(message)

    def _send_plainly(self, message: str) -> None:
        """What sd_notify does, for machines without systemd-python."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.connect(self._address)
            sender.sendall(message.encode())


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

    def turn(self) -> None:
        """Called by the loop with every turn; cheap. The broker may have come or gone."""
        if self._trouble() != self._told:
            self.tell(self._line)


class Watchdog:
    """Feeds systemd's watchdog only while the work itself goes on.

    `progress` gives one counter for each part that must keep moving (the loop, the outbox). A part
    that stands still for a whole interval stops the feeding, and systemd restarts the agent.
    """

    def __init__(
        self,
        notifier: Notifier,
        progress: Callable[[], tuple[int, ...]],
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        meant = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = environ.get("WATCHDOG_USEC", "") if meant else ""
        self._every_s = int(usec) / 1e6 / 3 if usec.isdigit() else None  # three chances in a timeout
        self._notifier, self._progress, self._clock = notifier, progress, clock
        self._fed_at = clock()
        self._seen = progress()

    def turn(self) -> None:
        """Called by the loop with every turn; cheap."""
        now = self._clock()
        if self._every_s is None or now - self._fed_at < self._every_s:
            return
        moved = self._progress()
        if all(new != old for new, old in zip(moved, self._seen, strict=True)):
            self._fed_at, self._seen = now, moved
            self._notifier.alive()
