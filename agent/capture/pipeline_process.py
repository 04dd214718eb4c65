"""A child process that writes raw pictures to a pipe, and tells its troubles on another."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
import time
from collections import deque

import numpy as np

from agent.core.types import Image

PIPE_BYTES = 1 << 20  # the most that Linux grants to everyone: 640 x 480 in one go, 1280 x 720 in three
SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ of linux/fcntl.h
KEPT_LINES = 20  # of what the child said last
END_S = 1.0  # for an orderly end, before it is killed


class PipelineProcess:
    """A running command. `fd=N` is appended to it: the pipe that it writes pictures to.

    Its stdout and stderr are what it says; pictures do not go there, because NVIDIA's elements chat.
    Used by one thread, but for `kill`.
    """

    def __init__(self, command: list[str], told: bytes = b"") -> None:
        """`told` is what it reads from its stdin, a pipe that holds it at once. Raises `OSError`."""
        self._pictures, their_end = os.pipe()
        os.set_blocking(self._pictures, False)
        with contextlib.suppress(OSError):  # a smaller pipe is slower, not wrong
            fcntl.fcntl(self._pictures, SET_PIPE_SIZE, PIPE_BYTES)
        self._words, their_words = os.pipe()
        os.set_blocking(self._words, False)
        their_stdin, tell = os.pipe()
        try:
            os.write(tell, told)
            os.close(tell)
            self._process = subprocess.Popen(
                [*command, f"fd={their_end}"],
                stdin=their_stdin,
                stdout=their_words,
                stderr=their_words,
                pass_fds=(their_end,),
                start_new_session=True,  # Ctrl-C at a terminal is for the agent, which ends its children
            )
        except OSError:
            self._close_pipes()
            raise
        finally:
            os.close(their_end)
            os.close(their_words)
            os.close(their_stdin)
        self._poll = select.poll()
        self._poll.register(self._pictures, select.POLLIN)
        self._poll.register(self._words, select.POLLIN)
        self._said: deque[str] = deque(maxlen=KEPT_LINES)
        self._open = True

    def read(self, shape: tuple[int, int, int], patience_s: float) -> Image | None:
        """One picture; None when the child ended, or it was not complete after `patience_s`."""
        image = np.empty(shape, np.uint8)
        missing = memoryview(image.data).cast("B")
        deadline = time.monotonic() + patience_s
        while missing:
            wait_s = deadline - time.monotonic()
            if wait_s <= 0:
                return None
            for fd, _ in self._poll.poll(wait_s * 1000):
                if fd == self._words:
                    self._listen()
                elif not (count := _read_into(fd, missing)):
                    return None
                else:
                    missing = missing[count:]
        return image

    def _listen(self) -> None:
        """Take what the child says, so that it never waits for us; stop at the end of it."""
        with contextlib.suppress(BlockingIOError):
            while words := os.read(self._words, 65536):
                self._said.extend(words.decode(errors="replace").splitlines())
            self._poll.unregister(self._words)

    def exit_code(self) -> int | None:
        """Of a child that has closed its pipe; None while it runs on."""
        if self._poll_pictures_closed():
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._process.wait(END_S)
        return self._process.poll()

    def _poll_pictures_closed(self) -> bool:
        return any(event & select.POLLHUP for fd, event in self._poll.poll(0) if fd == self._pictures)

    def last_error(self) -> str:
        """The line in which GStreamer names the error; else the last line; else nothing."""
        with contextlib.suppress(KeyError, OSError):
            self._listen()
        for line in self._said:
            if line.startswith("ERROR") or "erroneous" in line:
                return line
        return self._said[-1] if self._said else ""

    def kill(self) -> None:
        """End it at once; from any thread. A waiting `read` returns None."""
        self._process.kill()

    def close(self) -> None:
        """End it in order, within `END_S`, else by force. Twice is fine."""
        if not self._open:
            return
        self._open = False
        self._close_pipes()
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel: reaped later
                self._process.wait(END_S)

    def _close_pipes(self) -> None:
        os.close(self._pictures)
        os.close(self._words)


def _read_into(fd: int, buffer: memoryview) -> int:
    """Bytes read; 0 at the end of the pipe."""
    return os.readv(fd, [buffer])
