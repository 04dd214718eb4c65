"""State of the installed service as systemd reports it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from agent.core.numbers import number_or_none
from agent.errors import CannotStart
from agent.installation.paths import UNIT

_PROPERTIES = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "detail",
    "UnitFileState": "at_boot",
    "MainPID": "pid",
    "NRestarts": "restarts",
    "ExecMainStatus": "exit_code",
    "StatusText": "says",
    "ActiveEnterTimestamp": "since",
    "MemoryCurrent": "memory",
}


@dataclass(frozen=True, slots=True)
class ServiceState:
    """Result of `systemctl show`; texts are empty where systemd reports nothing."""

    installed: bool
    running: bool
    state: str  # "active (running)", "failed (failed)", "activating (start)", ...
    at_boot: bool
    pid: int
    restarts: int
    exit_code: int  # exit code of the last run; 3: it could not start
    says: str  # the STATUS= line
    since: str
    memory_bytes: int | None


def read_state() -> ServiceState:
    """Read the state from systemd. Raises `CannotStart` where there is none."""
    command = ["systemctl", "show", UNIT, "--property", ",".join(_PROPERTIES)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as exc:
        raise CannotStart("systemctl: not found; this machine does not run systemd") from exc
    if done.returncode:
        raise CannotStart(f"{' '.join(command)}: {done.stderr.strip()}; is this machine run by systemd?")
    return parse_state(done.stdout)


def parse_state(text: str) -> ServiceState:
    """Parse lines KEY=value."""
    pairs = dict(line.partition("=")[::2] for line in text.splitlines())
    found = {ours: pairs.get(theirs, "") for theirs, ours in _PROPERTIES.items()}
    return ServiceState(
        installed=found["loaded"] == "loaded",
        running=found["active"] == "active",
        state=f"{found['active']} ({found['detail']})",
        at_boot=found["at_boot"] == "enabled",
        pid=_number(found["pid"]) or 0,
        restarts=_number(found["restarts"]) or 0,
        exit_code=_number(found["exit_code"]) or 0,
        says=found["says"],
        since=found["since"],
        memory_bytes=_number(found["memory"]),
    )


def _number(text: str) -> int | None:
    number = number_or_none(text)
    return None if number is None else int(number)
