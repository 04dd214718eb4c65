"""Starts the whole agent on a looping clip for the benchmarks."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from daemons import CLIP, daemon  # noqa: E402 (the same that the tests start)

__all__ = ["CLIP", "agent_on"]

READY_S = 120.0


@contextmanager
def agent_on(clip: Path, folder: Path, broker_url: str, more: str = "") -> Iterator[float]:
    """Start an agent and yield it with its time to ready. Its id is "bench", its camera "front"."""
    (folder / "rules").mkdir()
    config = folder / "config.toml"
    config.write_text(
        f'[agent]\nid = "bench"\nstate_dir = "state"\n'
        f'[camera.front]\nsource = "{clip}"\nloop = true\n'
        f'[mqtt]\nurl = "{broker_url}"\n[log]\nlevel = "error"\n{more}',
        encoding="utf-8",
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(folder / "notify"))
        systemd.settimeout(READY_S)
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        began = time.monotonic()  # an installed agent has its bytecode: the second start is what counts
        with daemon(config, {**environ, "NOTIFY_SOCKET": str(folder / "notify")}):
            while b"READY=1" not in systemd.recv(4096):
                pass
            yield time.monotonic() - began
