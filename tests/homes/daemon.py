"""The real agent, as a process of its own, watching a film of the rendered clip. See remembering.py."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from homes_kit import LONG_S, eventually

FILM_FPS = 5
WAKE = """
[wake]
gesture = "stop"
hold = "800ms"
window = "6s"
"""


@dataclass(frozen=True)
class Film:
    """Pictures, and what goes with them."""

    pictures: Path
    taught: Path  # a taught.npz
    sights: Path  # what the networks say of the pictures
    cache_dir: Path  # where the networks are


class Daemon:
    """`gesture-agent run`. Recognition is off or on as it was when it stopped."""

    def __init__(self, folder: Path, film: Film, broker_url: str) -> None:
        self.folder = folder
        self._film, self._url = film, broker_url
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "state").mkdir()
        (folder / "rules").mkdir()
        (folder / "rules/wake.toml").write_text(WAKE, encoding="utf-8")
        shutil.copy(film.taught, folder / "state/taught.npz")
        (folder / "state/paused").touch()  # until somebody switches it on

    def start(
        self,
        *,
        discovery: str = "device",
        cameras: tuple[str, ...] = ("front",),
        source: Path | None = None,
        networks: bool = False,
    ) -> None:
        """Returns when it has its broker. With `networks` it is `gesture-agent run` without any help."""
        text = settings(source or self._film.pictures, self._film.cache_dir, discovery, cameras)
        config = self.folder / "config.toml"
        config.write_text(f'{text}\n[mqtt]\nurl = "{self._url}"\n', encoding="utf-8")
        words = ["-m", "agent", "run", "--config", config]
        if not networks:
            words = [Path(__file__).with_name("remembering.py"), "run", config, self._film.sights]
        log = self.folder / "log"
        with log.open("ab") as file:
            before = file.tell()
            self._process = subprocess.Popen([sys.executable, *words], stderr=file)

        def said(event: str) -> bool:
            assert self._process is not None
            text = log.read_bytes()[before:].decode()
            assert self._process.poll() is None, text
            return event in text

        eventually(lambda: said("agent_ready") and said("broker_connected"), "the agent is at work")

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            assert self._process.wait(LONG_S) == 0, (self.folder / "log").read_text()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def settings(
    source: Path, cache_dir: Path, discovery: str = "device", cameras: tuple[str, ...] = ("front",)
) -> str:
    """A `config.toml` with its state beside it, and no broker yet."""
    lines = [
        f'[agent]\nid = "kitchen"\ncache_dir = "{cache_dir}"\nstate_dir = "state"',
        f'[homeassistant]\nname = "Kitchen gestures"\narea = "Kitchen"\ndiscovery = "{discovery}"',
        '[log]\nformat = "json"',
    ]
    lines += [f'[camera.{name}]\nsource = "{source}"\nfps = {FILM_FPS}\nloop = true' for name in cameras]
    return "\n".join(lines)
