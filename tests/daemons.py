"""The daemon as a user runs it: `gesture-agent run`, a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CLIP = Path(__file__).parent / "data/demo.mp4"
STOP_S = 60.0


def configured(folder: Path, agent: str, broker_url: str, cache_dir: Path, more: str) -> Path:
    """A `config.toml` with its state and rules beside it; `more` goes on after the broker's address."""
    (folder / "rules").mkdir(exist_ok=True)
    path = folder / "config.toml"
    path.write_text(
        f"""
        [agent]
        id = "{agent}"
        state_dir = "state"
        cache_dir = "{cache_dir}"
        [mqtt]
        url = "{broker_url}"
        {more}
        """,
        encoding="utf-8",
    )
    return path


@dataclass(frozen=True)
class Daemon:
    """One that runs, or has run."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        """Its log so far."""
        return self.log.read_text(encoding="utf-8")

    def kill(self) -> None:
        """It has no time to say or to write anything."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """As systemd does it; it has to stop as it should."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(STOP_S) == 0, self.said


@contextmanager
def daemon(
    config: Path, environ: Mapping[str, str] = os.environ, through: Sequence[str] = ()
) -> Iterator[Daemon]:
    """Runs until it ends by itself, is killed, or the block is left. `through`: a program that becomes it."""
    log = config.with_name("log")
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*through, sys.executable, "-m", "agent", "run", "--config", str(config)],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=dict(environ),
        )
    running = Daemon(process, log)
    try:
        yield running
        if process.poll() is None:
            running.stop()
    finally:
        running.kill()
