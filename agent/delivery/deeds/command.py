"""A program that a rule starts: no shell, a time limit, never run again."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence

import structlog

log = structlog.get_logger(__name__)


def run(program: str, arguments: Sequence[str], *, rule: str, timeout_s: float) -> bool:
    """Run to its end; True when it exits with 0. Output is thrown away, trouble is logged.

    The program's whole process group is killed when it takes longer than `timeout_s`.
    """
    try:
        with subprocess.Popen(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            return _wait(process, rule, timeout_s)
    except (OSError, ValueError) as exc:
        log.error("command_failed", rule=rule, program=program, reason=str(exc))
        return False


def _wait(process: subprocess.Popen[bytes], rule: str, timeout_s: float) -> bool:
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        log.error("command_failed", rule=rule, reason=f"still running after {timeout_s:g} s: killed")
        return False
    if code != 0:
        log.error("command_failed", rule=rule, reason=f"ended with {code}")
    return code == 0
