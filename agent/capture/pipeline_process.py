"""Child process that writes raw images to a pipe and messages to its output."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
import time
from collections import deque

from agent.capture.gst_launch import TOLD
from agent.core.types import Image

PIPE_BYTES = 1 << 20  # Linux's limit for unprivileged users: 640 x 480 in one write, 1280 x 720 in three
SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ of linux/fcntl.h
KEPT_LINES = 20  # of the child's last output
END_S = 1.0  # seconds for an orderly end, before it is killed


class PipelineProcess:
    """A running command that writes images to a pipe; `fd=N` of the pipe is appended to its arguments.

    Images do not go to stdout, because NVIDIA's elements print there; stdout and stderr hold messages. Used
    by one thread, except for `kill`.
    """

    def __init__(self, command: list[str], told: bytes = b"") -> None:
        """Start the command; `told` is written to its stdin. Raises `OSError`."""
        self._pictures, their_end = os.pipe()
        os.set_blocking(self._pictures, False)
        with contextlib.suppress(OSError):  # a smaller pipe is slower but works
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
                start_new_session=True,  # Ctrl-C at a terminal goes to the agent, which ends its children
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
        self._caps: str | None = None
        self._open = True

    def caps(self, patience_s: float) -> str | None:
        """Return the caps of the next image, as GStreamer writes them; only `gst_launch.py` tells them.

        None where the child ended, or has told none after `patience_s` seconds.
        """
        deadline = time.monotonic() + patience_s
        with contextlib.suppress(KeyError):  # its output has ended
            self._listen()
        while self._caps is None:
            wait_s = deadline - time.monotonic()
            events = self._poll.poll(max(wait_s, 0.0) * 1000)
            if any(fd == self._words for fd, _ in events):
                self._listen()
            elif wait_s <= 0 or any(event & select.POLLHUP for _, event in events):
                return None
        return self._caps

    def read_into(self, memory: Image, patience_s: float) -> bool:
        """Fill uint8 (bytes,) with one image.

        False where the child ended, or the image is incomplete after `patience_s` seconds.
        """
        missing = memoryview(memory.data)
        deadline = time.monotonic() + patience_s
        while missing:
            wait_s = deadline - time.monotonic()
            if wait_s <= 0:
                return False
            for fd, _ in self._poll.poll(wait_s * 1000):
                if fd == self._words:
                    self._listen()
                elif not (count := os.readv(fd, [missing])):
                    return False
                else:
                    missing = missing[count:]
        return True

    def _listen(self) -> None:
        """Collect available output, so that the child never blocks on it; stop at its end."""
        with contextlib.suppress(BlockingIOError):
            while words := os.read(self._words, 65536):
                for line in words.decode(errors="replace").splitlines():
                    if line.startswith(TOLD):
                        self._caps = line.removeprefix(TOLD)
                    else:
                        self._said.append(line)
            self._poll.unregister(self._words)

    def exit_code(self) -> int | None:
        """Return the exit code of a child that has closed its pipe; None while it runs."""
        if self._poll_pictures_closed():
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._process.wait(END_S)
        return self._process.poll()

    def _poll_pictures_closed(self) -> bool:
        return any(event & select.POLLHUP for fd, event in self._poll.poll(0) if fd == self._pictures)

    def last_error(self) -> str:
        """Return the line in which GStreamer reports the error, else the last line, else an empty text."""
        with contextlib.suppress(KeyError, OSError):
            self._listen()
        for line in self._said:
            if line.startswith("ERROR") or "erroneous" in line:
                return line
        return self._said[-1] if self._said else ""

    def kill(self) -> None:
        """Kill the child at once, from any thread; a waiting `read_into` returns."""
        self._process.kill()

    def close(self) -> None:
        """End the child, within `END_S` or by force; may be called twice."""
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
