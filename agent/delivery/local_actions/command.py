"""Execution of a rule's command: no shell, a time limit, no retry."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence

import structlog

log = structlog.get_logger(__name__)

KILL_S = 5.0  # seconds for a killed program to exit; one that hangs in the kernel is abandoned


def run(program: str, arguments: Sequence[str], *, rule: str, timeout_s: float) -> bool:
    """Run a program to its end; True when it exits with 0. Output is discarded, failures are logged.

    The program's whole process group is killed after `timeout_s` seconds.
    """
    try:
        process = subprocess.Popen(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as exc:
        log.error("command_failed", rule=rule, program=program, reason=str(exc))
        return False
    return _wait(process, rule, timeout_s)


def _wait(process: subprocess.Popen[bytes], rule: str, timeout_s: float) -> bool:
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        reason = f"still running after {timeout_s:g} s: killed"
        if not _kill(process):
            reason += ", but it does not exit: is the disk or server that it uses unavailable?"
        log.error("command_failed", rule=rule, reason=reason)
        return False
    if code != 0:
        log.error("command_failed", rule=rule, reason=f"ended with {code}")
    return code == 0


def _kill(process: subprocess.Popen[bytes]) -> bool:
    """Kill the process group; False when the kernel does not end it."""
    with contextlib.suppress(OSError):  # it has just exited
        os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(KILL_S)
    except subprocess.TimeoutExpired:
        return False
    return True
