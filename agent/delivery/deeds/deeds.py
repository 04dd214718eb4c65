"""Keys and commands: at once or never, at most once; a restart never repeats them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from agent.config.settings import ActionsSettings
from agent.core.types import Action
from agent.delivery.deeds import command
from agent.delivery.workers import Workers

if TYPE_CHECKING:
    from agent.delivery.deeds.keys import Keyboard

log = structlog.get_logger(__name__)

AT_ONCE = 4  # commands; more are refused


class Deeds:
    """Does them in threads of its own."""

    def __init__(self, settings: ActionsSettings) -> None:
        self._settings = settings
        self._keyboard: Keyboard | None = None
        self._commands = Workers("command", AT_ONCE, AT_ONCE)
        self.too_late = 0

    def start(self) -> None:
        """Raises `CannotStart` when keys are wanted and cannot be had."""
        if self._settings.keys:
            from agent.delivery.deeds.keys import Keyboard  # noqa: PLC0415 (an optional package)

            self._keyboard = Keyboard()
        self._commands.start()

    def close(self) -> None:
        """Running commands get a second."""
        self._commands.close(1.0)
        if self._keyboard is not None:
            self._keyboard.close()

    def do(self, action: Action, left_s: float) -> None:
        """Do it now; not at all when its time is over."""
        if left_s <= 0:
            self.too_late += 1
            log.warning("action_too_late", rule=action.rule, kind=action.kind, by_s=round(-left_s, 3))
        elif action.kind == "key":
            self._press(action)
        elif not self._commands.submit(self._command(action)):
            log.error("command_failed", rule=action.rule, reason=f"{AT_ONCE} commands are still running")

    def _command(self, action: Action) -> Callable[[], None]:
        arguments = [value for _, value in action.options]
        timeout_s = self._settings.command_timeout

        def run() -> None:
            command.run(action.target, arguments, rule=action.rule, timeout_s=timeout_s)

        return run

    def _press(self, action: Action) -> None:
        try:
            if self._keyboard is None:
                raise ValueError("actions.keys is false")  # noqa: TRY301 (one place that logs)
            self._keyboard.press(action.target)
        except (OSError, ValueError) as exc:
            log.error("key_failed", rule=action.rule, key=action.target, reason=str(exc))
