"""A real terminal for a command: what it prints is waited for, what is typed goes through its line editor."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

PATIENCE_S = 60.0
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """`with Terminal("init", cwd=.., env=..) as t: t.answer("Which", "fist")`."""

    def __init__(self, *arguments: str, cwd: Path, env: Mapping[str, str]) -> None:
        self._own, theirs = pty.openpty()
        self.text = ""
        self._looked = 0  # up to here the text has been waited for
        self._process = subprocess.Popen(
            [sys.executable, "-m", "agent", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=cwd,
            env={**env, "TERM": "xterm-256color"},
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 (no threads here)
        )
        os.close(theirs)

    def __enter__(self) -> Terminal:  # noqa: PYI034 (Self is not in Python 3.10)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._own)

    def expect(self, wanted: str) -> None:
        """Wait until it is printed after what was expected before."""
        ends = time.monotonic() + PATIENCE_S
        while (found := self.text.find(wanted, self._looked)) < 0:
            if not self._read(ends):
                raise AssertionError(f"no {wanted!r} in {self.text[self._looked :]!r}")
        self._looked = found + len(wanted)

    def answer(self, question: str, typed: str) -> None:
        """Wait for the question, type a line."""
        self.expect(question)
        self.expect(": ")
        self.press(f"{typed}\r")

    def press(self, keys: str) -> None:
        os.write(self._own, keys.encode())

    def wait(self) -> int:
        """Read until it has ended; its exit code."""
        ends = time.monotonic() + PATIENCE_S
        while self._read(ends):
            pass
        return self._process.wait(PATIENCE_S)

    def _read(self, ends: float) -> bool:
        """False at the end, or when patience is over."""
        ready, _, _ = select.select([self._own], [], [], max(0.0, ends - time.monotonic()))
        try:
            data = os.read(self._own, 65_536) if ready else b""
        except OSError:  # EIO: the other side is closed
            data = b""
        self.text += _CONTROLS.sub("", data.decode("utf-8", "replace")).replace("\r\n", "\n")
        return bool(data)


def _take_terminal() -> None:
    """Make stdin the controlling terminal, so that Ctrl-C is a signal and passwords are asked there."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
