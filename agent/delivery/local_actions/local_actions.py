"""Worker threads for key presses and commands; an action runs at most once and is never repeated."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import structlog

from agent.config.settings import ActionsSettings
from agent.core.types import Action
from agent.delivery.local_actions import command
from agent.delivery.workers import Workers
from agent.supervision import Threads

if TYPE_CHECKING:
    from agent.delivery.local_actions.keys import Keyboard

log = structlog.get_logger(__name__)

AT_ONCE = 4  # parallel commands; as many may wait, more are refused
JOB_SLACK_S = 60.0  # seconds for starting and ending a program on a machine that swaps


class LocalActions:
    """Runs key presses and commands in worker threads."""

    def __init__(
        self,
        settings: ActionsSettings,
        threads: Threads,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._keyboard: Keyboard | None = None
        job_s = settings.command_timeout + command.KILL_S + JOB_SLACK_S
        self._commands = Workers(threads, "command", AT_ONCE, AT_ONCE, job_s=job_s)
        self._lock = threading.Lock()
        self.too_late = 0

    def start(self) -> None:
        """Start the workers. Raises `CannotStart` when keys are enabled and cannot be opened."""
        if self._settings.keys:
            from agent.delivery.local_actions.keys import Keyboard  # noqa: PLC0415 (an optional package)

            self._keyboard = Keyboard()
        self._commands.start()

    def close(self) -> None:
        """Stop; running commands get a second."""
        self._commands.close(1.0)
        if self._keyboard is not None:
            self._keyboard.close()

    def do(self, action: Action, left_s: float) -> None:
        """Queue an action; it is dropped when it expires before a worker is free."""
        until = self._clock() + left_s
        if not self._in_time(action, until):
            return
        if action.kind == "key":
            self._press(action)
        elif not self._commands.submit(partial(self._run, action, until)):
            reason = f"{AT_ONCE} commands are still running and {AT_ONCE} wait"
            log.error("command_failed", rule=action.rule, reason=reason)

    def _in_time(self, action: Action, until: float) -> bool:
        late_s = self._clock() - until
        if late_s < 0:
            return True
        with self._lock:
            self.too_late += 1
        log.warning("action_too_late", rule=action.rule, kind=action.kind, by_s=round(late_s, 3))
        return False

    def _run(self, action: Action, until: float) -> None:
        """Run a command in a worker; its deadline is checked again after the wait."""
        if self._in_time(action, until):
            arguments = [value for _, value in action.options]
            timeout_s = self._settings.command_timeout
            command.run(action.target, arguments, rule=action.rule, timeout_s=timeout_s)

    def _press(self, action: Action) -> None:
        try:
            if self._keyboard is None:
                raise ValueError("actions.keys is false")  # noqa: TRY301 (one place that logs)
            self._keyboard.press(action.target)
        except (OSError, ValueError) as exc:
            log.error("key_failed", rule=action.rule, key=action.target, reason=str(exc))
