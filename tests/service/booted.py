"""A Debian of its own, booted with its own systemd by systemd-nspawn."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "udev", "procps",
    "python3", "python3-venv", "python3-systemd", "mosquitto", "mosquitto-clients",
)  # fmt: skip
SUITE, PYTHON = "bookworm", "3.11"
BOOT_S, COMMAND_S = 120, 300
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")


def why_not() -> str | None:
    """What this machine lacks, None when it can boot containers."""
    if os.geteuid() != 0:
        return "booting a container needs root"
    for program, package in (("systemd-nspawn", "systemd-container"), ("debootstrap", "debootstrap")):
        if shutil.which(program) is None:
            return f"no {program}: apt install {package}"
    return None


def base_system(cache: Path) -> Path:
    """A Debian to copy, made once."""
    base = cache / SUITE
    if not (base / "made").exists():
        shutil.rmtree(base, ignore_errors=True)
        base.parent.mkdir(parents=True, exist_ok=True)
        words = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(base)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        (base / "made").touch()
    return base


def wheels(cache: Path) -> Path:
    """All that the agent needs from PyPI, for the container's Python: it has no network."""
    folder = cache / "wheels"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needs = [need for need in project["project"]["dependencies"] if "python_version" not in need]
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:"]
    words += ["--python-version", PYTHON, "--dest", str(folder)]
    words += [f"--platform={name}_{os.uname().machine}" for name in PLATFORMS]
    subprocess.run([*words, *needs, *project["build-system"]["requires"], "wheel"], check=True)
    return folder


def _is_first(pid: int) -> bool:
    """Whether it is process 1 of its own namespace (proc(5), NSpid)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in status.splitlines())


class Booted:
    """A running container. Commands run in it as root."""

    def __init__(self, root: Path, binds: dict[Path, str]) -> None:
        self.root = root
        words = ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--private-network"]
        words += ["--console=pipe", f"--directory={root}"]
        words += [f"--bind-ro={source}:{target}" for source, target in binds.items()]
        self._log = (root.parent / "console.log").open("wb")
        self._nspawn = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT
        )
        self._init = self._find_init()
        self.run("systemctl", "is-system-running", "--wait", check=False)

    def _find_init(self) -> int:
        """Process number, outside, of the container's first process."""
        deadline = time.monotonic() + BOOT_S
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        while time.monotonic() < deadline and self._nspawn.poll() is None:
            for pid in map(int, children.read_text().split()):
                if _is_first(pid) and self._answers(pid):
                    return pid
            time.sleep(0.2)
        self.close()
        raise RuntimeError(f"the container did not boot; see {self._log.name}")

    def _answers(self, init: int) -> bool:
        words = ["nsenter", "-t", str(init), "-a", "systemctl", "is-system-running"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        return done.stdout.strip() in {"initializing", "starting", "running", "degraded"}

    def run(self, *command: str, check: bool = True) -> str:
        """What a command printed, both streams."""
        path = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        clean = ["env", "-i", f"PATH={path}", "LANG=C.UTF-8", "HOME=/root"]
        clean += ["PIP_NO_INDEX=1", "PIP_FIND_LINKS=/wheels"]
        done = subprocess.run(
            ["nsenter", "-t", str(self._init), "-a", *clean, *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False, timeout=COMMAND_S,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: ended with {done.returncode}\n{done.stdout}")
        return done.stdout

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """`systemctl show`."""
        lines = self.run("systemctl", "show", unit, "--property", ",".join(properties)).splitlines()
        return dict(line.partition("=")[::2] for line in lines)

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """Entries of the journal."""
        lines = self.run("journalctl", "--output=json", "--no-pager", *matches, check=False).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def path(self, inside: str) -> Path:
        """A path of the container, from outside."""
        return self.root / inside.lstrip("/")

    def close(self) -> None:
        """Power it off."""
        self._nspawn.terminate()
        try:
            self._nspawn.wait(30)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()
        self._log.close()
